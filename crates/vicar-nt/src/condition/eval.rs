//! Running a condition.

use alloc::vec::Vec;

use crate::acl::{Ace, AceKind, AclRef};
use crate::claim::{ClaimFlags, ClaimRef, Value};
use crate::condition::compare::{Right, compare};
use crate::condition::token::{Class, Literal, Membership, Token, Tokens, Whose};
use crate::condition::{Effect, Truth};
use crate::privilege::Need;
use crate::reading::Readings;
use crate::sid::SidRef;
use crate::token::TokenState;
use crate::utf16::Utf16;

/// What a condition is about.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The subject.
    pub token: &'a TokenState,
    /// The SACL of the object, which holds its resource attributes.
    pub resource: AclRef<'a>,
    /// What the entry does when it applies.
    pub effect: Effect,
    /// The uncertain rules that are read the other way.
    pub readings: Readings,
}

#[derive(Clone, Copy)]
enum Operand<'a> {
    Truth(Truth),
    Literal(Literal<'a>),
    /// An attribute, or that it is not there.
    Attribute(Option<ClaimRef<'a>>),
}

/// Says whether a condition holds.
///
/// # Inputs
/// - `data`: what follows the SID of a callback entry, signature and padding included; need not be well-formed.
/// - `facts`: the subject, the object's attributes, and whether the entry grants or refuses.
///
/// # Returns
/// [`Truth::Unknown`] when the data is not a condition, is malformed anywhere, or does not come to one answer.
///
/// # Cost
/// One pass; one allocation for the stack, one for each claim with several values, and two for a comparison of long lists,
/// which costs what sorting them does.
///
/// # Source
/// MS-DTYP 2.4.4.17.
#[must_use]
pub fn evaluate(data: &[u8], facts: &Facts<'_>) -> Truth {
    run(data, facts).unwrap_or(Truth::Unknown)
}

/// `None` means that the expression as a whole is wrong.
fn run<'a>(data: &'a [u8], facts: &Facts<'a>) -> Option<Truth> {
    let mut stack: Vec<Operand<'a>> = Vec::new();
    for token in Tokens::new(data).ok()? {
        let result = match token.ok()? {
            Token::Literal(literal) => Operand::Literal(literal),
            Token::Attribute(class, name) => Operand::Attribute(facts.find(class, name)),
            Token::Relation(relation) => {
                let right = stack.pop()?;
                let Operand::Attribute(left) = stack.pop()? else { return None };
                let right = match right {
                    Operand::Literal(literal) => Some(Right::Literal(literal)),
                    Operand::Attribute(claim) => claim.map(Right::Claim),
                    Operand::Truth(_) => return None,
                };
                Operand::Truth(match (left, right) {
                    (Some(left), Some(right)) => compare(relation, left, right, facts.readings),
                    (None, _) | (_, None) => Truth::Unknown,
                })
            }
            Token::Exists => Operand::Truth(exists(stack.pop()?)?),
            Token::NotExists => Operand::Truth(exists(stack.pop()?)?.negated()),
            Token::Member(membership) => Operand::Truth(facts.is_member(membership, stack.pop()?)),
            Token::And => {
                let (right, left) = (facts.truth(stack.pop()?)?, facts.truth(stack.pop()?)?);
                Operand::Truth(left.and(right))
            }
            Token::Or => {
                let (right, left) = (facts.truth(stack.pop()?)?, facts.truth(stack.pop()?)?);
                Operand::Truth(left.or(right))
            }
            Token::Not => Operand::Truth(facts.truth(stack.pop()?)?.negated()),
        };
        stack.push(result);
    }
    let answer = facts.truth(stack.pop()?)?;
    stack.is_empty().then_some(answer)
}

fn exists(operand: Operand<'_>) -> Option<Truth> {
    match operand {
        Operand::Attribute(claim) => Some(claim.is_some().into()),
        Operand::Truth(_) | Operand::Literal(_) => None,
    }
}

impl<'a> Facts<'a> {
    /// Takes an operand as a truth value; a literal is none.
    fn truth(&self, operand: Operand<'_>) -> Option<Truth> {
        let claim = match operand {
            Operand::Truth(truth) => return Some(truth),
            Operand::Literal(_) => return None,
            Operand::Attribute(None) => return Some(Truth::Unknown),
            Operand::Attribute(Some(claim)) => claim,
        };
        let no_truth = match self.readings.contains(Readings::NO_TRUTH_IS_FALSE) {
            true => Truth::False,
            false => Truth::Unknown,
        };
        let mut values = claim.values();
        Some(match (values.next(), values.next()) {
            (Some(Value::Integer(number)), None) => (number != 0).into(),
            (Some(Value::Boolean(fact)), None) => fact.into(),
            (Some(Value::Text(text)), None) => (!text.is_empty()).into(),
            (Some(Value::Sid(_) | Value::Octets(_) | Value::Fqbn { .. }) | None, None) | (_, Some(_)) => no_truth,
        })
    }

    fn find(&self, class: Class, name: Utf16<'_>) -> Option<ClaimRef<'a>> {
        let claim = match class {
            Class::Local => self.token.local_claims().find(name),
            Class::User => self.token.user_claims().find(name),
            Class::Device => self.token.device_claims().find(name),
            Class::Resource => self.resource_attribute(name),
        }?;
        let counts_for_effect = self.effect == Effect::Deny
            || self.readings.contains(Readings::DENY_ONLY_CLAIMS_ALLOW)
            || !claim.flags().contains(ClaimFlags::USE_FOR_DENY_ONLY);
        let is_in_force =
            !claim.flags().contains(ClaimFlags::DISABLED) && counts_for_effect && claim.has_unique_values();
        is_in_force.then_some(claim)
    }

    fn is_member(&self, question: Membership, operand: Operand<'_>) -> Truth {
        let Operand::Literal(literal) = operand else { return Truth::Unknown };
        let answer = match literal {
            Literal::Composite(list) => self.hold(question, list.literals()),
            Literal::Integer(_) | Literal::Text(_) | Literal::Octets(_) | Literal::Sid(_) => {
                self.hold(question, core::iter::once(literal))
            }
        };
        match answer {
            Some(answer) => Truth::from(answer != question.is_negated),
            None => Truth::Unknown,
        }
    }

    /// Whether all or any of the SIDs are held; `None` when there are none, or something else among them.
    fn hold<'l>(&self, question: Membership, literals: impl Iterator<Item = Literal<'l>>) -> Option<bool> {
        let mut answer = None;
        for literal in literals {
            let Literal::Sid(sid) = literal else { return None };
            let held = self.holds(question.whose, sid);
            answer = Some(match (answer, question.need) {
                (None, _) => held,
                (Some(so_far), Need::All) => so_far && held,
                (Some(so_far), Need::Any) => so_far || held,
            });
        }
        answer
    }

    fn holds(&self, whose: Whose, sid: SidRef<'_>) -> bool {
        match (whose, self.effect) {
            (Whose::User, Effect::Allow) => self.token.counts_for_allow(sid),
            (Whose::User, Effect::Deny) => self.token.counts_for_deny(sid),
            (Whose::Device, Effect::Allow) => self.token.device_counts_for_allow(sid),
            (Whose::Device, Effect::Deny) => self.token.device_counts_for_deny(sid),
        }
    }

    /// Finds a resource attribute by name: the first effective entry whose claim is well-formed and has it.
    fn resource_attribute(&self, name: Utf16<'_>) -> Option<ClaimRef<'a>> {
        let counts = |ace: &Ace<'_>| {
            let is_in_force = ace.is_effective() || self.readings.contains(Readings::INHERITED_ATTRIBUTES);
            ace.kind() == AceKind::ResourceAttribute && is_in_force
        };
        let attributes = self.resource.aces().filter(counts);
        let claims = attributes.filter_map(|ace| ClaimRef::parse_in_ace(ace.parts()?.data).ok());
        let mut named = claims.filter(|claim| claim.name().eq_ignore_case(name));
        let first = named.next();
        let is_one = !self.readings.contains(Readings::REPEATED_ATTRIBUTES_ARE_MISSING) || named.next().is_none();
        first.filter(|_| is_one)
    }
}
