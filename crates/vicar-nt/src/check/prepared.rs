//! Everything from the DACL on: every list that has a say, read in every way the token calls for.

use crate::acl::AclRef;
use crate::check::answer::{Denial, Pass, Refusal};
use crate::check::central;
use crate::check::members::Members;
use crate::check::object_types::{Node, Nodes};
use crate::check::step::{Step, Trace};
use crate::check::walk::Walk;
use crate::descriptor::Dacl;
use crate::mask::AccessMask;
use crate::privilege::PrivilegeMask;
use crate::reading::Readings;

/// Whose DACL is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DaclOf {
    /// The object's own.
    Object,
    /// That of a rule of its central policy.
    Rule,
}

/// What the steps before the DACL found.
#[derive(Clone, Copy)]
pub(super) struct Prepared<'r, 'a, M> {
    pub(super) walk: Walk<'r, 'a, M>,
    /// What the system lets through.
    pub(super) limit: AccessMask,
    /// What privileges gave.
    pub(super) by_privilege: AccessMask,
    /// Which privileges gave it.
    pub(super) privileges: PrivilegeMask,
}

impl<'a, M: Members<'a>> Prepared<'_, 'a, M> {
    /// Reads everything that has a say, and answers for the root.
    #[inline]
    pub(super) fn conclude<N: Nodes, T: Trace<'a>>(
        &self,
        nodes: &mut N,
        trace: &mut T,
    ) -> Result<(AccessMask, PrivilegeMask), Denial> {
        let (request, asked) = (self.walk.request, self.walk.asked);
        let denied = |by, granted: AccessMask| Denial { missing: asked.without(granted), by };
        let refused = self.read(nodes, trace).map_err(|by| denied(by, self.by_privilege))?;
        let left = nodes.root().left;
        if !left.contains(asked) {
            return Err(denied(refused.unwrap_or(Refusal::NotGranted { pass: Pass::Normal }), left));
        }
        let granted = if request.desired.wants_maximum() { left } else { asked };
        if granted.is_empty() {
            return Err(denied(Refusal::NothingAllowed, left));
        }
        Ok((granted | request.previous(), self.privileges))
    }

    /// Finds what each node is granted, over all DACLs that have a say.
    ///
    /// # Returns
    /// Who refused, should the root not have everything that was asked for.
    ///
    /// # Errors
    /// The entry that refused, when reading may stop there.
    #[inline]
    pub(super) fn read<N: Nodes, T: Trace<'a>>(
        &self,
        nodes: &mut N,
        trace: &mut T,
    ) -> Result<Option<Refusal>, Refusal> {
        let refused = self.narrow(DaclOf::Object, self.walk.descriptor.dacl(), nodes, trace)?;
        let sacl = self.walk.descriptor.sacl().entries();
        if sacl.count() == 0 { Ok(refused) } else { self.read_rules(sacl, refused, nodes, trace) }
    }

    fn read_rules<N: Nodes, T: Trace<'a>>(
        &self,
        sacl: AclRef<'a>,
        mut refused: Option<Refusal>,
        nodes: &mut N,
        trace: &mut T,
    ) -> Result<Option<Refusal>, Refusal> {
        for rule in central::rules(self.walk.request, self.walk.token, sacl) {
            let (index, applies) = (rule.index, rule.applies);
            if refused.is_some() && self.walk.may_stop {
                break;
            }
            trace.step(|| Step::CentralRule { index, applies });
            if applies {
                let by = |_| Refusal::CentralRule { index };
                let by_rule = self.narrow(DaclOf::Rule, rule.dacl, nodes, trace).map_err(by)?;
                refused = refused.or(by_rule.map(by));
            }
        }
        Ok(refused)
    }

    /// Reads one DACL in every way the token calls for, and cuts what is left of `nodes` down to what it grants.
    ///
    /// # Returns
    /// Which reading was the first that did not grant the root everything that was asked for.
    fn narrow<N: Nodes, T: Trace<'a>>(
        &self,
        of: DaclOf,
        dacl: Dacl<'a>,
        nodes: &mut N,
        trace: &mut T,
    ) -> Result<Option<Refusal>, Refusal> {
        let walk = &self.walk;
        let asked = walk.asked;
        let readings = walk.request.options.readings;
        let given = match of {
            DaclOf::Rule if readings.contains(Readings::RULES_WITHOUT_OWNER) => AccessMask::NONE,
            DaclOf::Rule | DaclOf::Object => self.by_privilege | walk.owner_rights(dacl, trace),
        };
        nodes.begin();
        walk.read(dacl, Pass::Normal, asked.without(given), nodes, trace)?;
        let mut refused = cut(nodes, asked, Refusal::NotGranted { pass: Pass::Normal }, |node| node.granted | given);
        if walk.token.app_container().is_some() {
            trace.step(|| Step::Package { granted: nodes.root().package });
            let by_privilege = match readings.contains(Readings::PRIVILEGES_FOR_PACKAGES) {
                true => self.by_privilege,
                false => AccessMask::NONE,
            };
            refused = refused.or(cut(nodes, asked, Refusal::Package, |node| node.package | by_privilege));
        }
        if walk.token.is_restricted() {
            let given = given | self.exempt_from_restriction();
            nodes.begin();
            walk.read(dacl, Pass::Restricted, asked.without(given), nodes, trace)?;
            let by = Refusal::NotGranted { pass: Pass::Restricted };
            refused = refused.or(cut(nodes, asked, by, |node| node.granted | given));
        }
        Ok(refused)
    }

    /// What a write-restricted token may do without its restricting SIDs: everything that is not writing.
    fn exempt_from_restriction(&self) -> AccessMask {
        if !self.walk.token.is_write_restricted() {
            return AccessMask::NONE;
        }
        let mapping = &self.walk.request.mapping;
        let writing = mapping.write.without(mapping.read | mapping.execute);
        if self.walk.request.options.readings.contains(Readings::WRITING_BY_MAPPING) {
            return !writing;
        }
        !(writing | AccessMask::DELETE | AccessMask::WRITE_DAC | AccessMask::WRITE_OWNER)
    }
}

/// Cuts what is left of each node down to what a reading gave it, and says whether that refuses the root.
#[inline]
fn cut<N: Nodes>(
    nodes: &mut N,
    asked: AccessMask,
    by: Refusal,
    given: impl Fn(&Node) -> AccessMask,
) -> Option<Refusal> {
    let is_enough = given(&nodes.root()).contains(asked);
    nodes.cut(given);
    (!is_enough).then_some(by)
}
