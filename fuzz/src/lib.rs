//! What must hold whatever comes in. Each function panics when it does not.

mod check;

pub use check::check;

use vicar_nt::acl::{Ace, Acl, AclRef, Canonical};
use vicar_nt::claim::{Claim, ClaimFlags, ClaimRef, ClaimType, Value};
use vicar_nt::condition::{Effect, Facts, Truth, applies, evaluate};
use vicar_nt::descriptor::{Dacl, Descriptor, DescriptorRef};
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::utf16::{Utf16, encode};
use vicar_nt::{GenericMapping, GroupAttributes, IntegrityLevel, Privilege, Sid, sddl, well_known};

/// Reading never panics; what reads reads the same again after it was rebuilt, and its text, if it has one, means it.
pub fn bytes(data: &[u8]) {
    if let Ok((sid, rest)) = Sid::parse(data) {
        assert_eq!(data, [sid.as_bytes(), rest].concat());
        assert_eq!(
            sid.to_string().parse::<Sid>().ok().filter(|_| sid.rid().is_some()),
            Some(sid).filter(|_| sid.rid().is_some())
        );
    }
    if let Ok((acl, rest)) = AclRef::parse(data) {
        assert_eq!(acl.as_bytes().len() + rest.len(), data.len());
        rebuild(acl);
    }
    if let Ok(claim) = ClaimRef::parse(data) {
        assert_eq!(claim.values().count(), claim.count());
        let _ = claim.has_unique_values();
    }
    match DescriptorRef::parse(data) {
        Err(error) => assert!(error.at_byte() <= data.len()),
        Ok(descriptor) => {
            assert_eq!(descriptor.to_descriptor().as_ref(), descriptor);
            if let Dacl::List(list) = descriptor.dacl() {
                rebuild(list);
            }
            rebuild(descriptor.sacl().entries());
            if let Ok(text) = sddl::print(descriptor, None) {
                settled(&text);
            }
        }
    }
}

fn rebuild(acl: AclRef<'_>) {
    assert_eq!(acl.aces().count(), usize::from(acl.count()));
    let copy = acl.aces().fold(Acl::builder(), |builder, ace| builder.verbatim(&ace));
    if let Ok(copy) = copy.build() {
        let copy = Acl::parse(copy.as_ref().as_bytes()).expect("a built ACL is valid");
        assert!(acl.aces().eq(copy.as_ref().aces()));
    }
    // A long list out of order is compared entry by entry with itself.
    if acl.count() <= 256 {
        match acl.canonicalise(&GenericMapping::FILE) {
            Ok(Canonical::Already) => assert!(acl.is_canonical()),
            Ok(Canonical::Reordered(sorted) | Canonical::MeaningChanges(sorted)) => {
                assert!(sorted.as_ref().is_canonical() && !acl.is_canonical());
                assert_eq!(sorted.as_ref().count(), acl.count());
            }
            Err(_) => assert!(acl.as_bytes().len() > 60_000),
        }
    }
}

/// Text that was printed from bytes may say less than they do (an object entry without types is a plain one), or may not
/// read at all (a claim that SDDL refuses); what it reads as prints as itself.
fn settled(text: &str) {
    if let Ok(read) = sddl::parse(text, None) {
        let once = sddl::print(read.as_ref(), None).expect("what was parsed prints");
        let again = sddl::parse(&once, None).expect("what was printed parses");
        assert_eq!(once, sddl::print(again.as_ref(), None).expect("what was parsed prints"));
    }
}

/// No text panics; an error points into the text; what parses is a valid descriptor whose own text is settled.
pub fn sddl(text: &str) {
    let domain: Sid = "S-1-5-21-1-2-3".parse().expect("a SID");
    for domain in [None, Some(&domain)] {
        match sddl::parse(text, domain) {
            Err(error) => assert!(text.is_char_boundary(error.at)),
            Ok(descriptor) => {
                assert_eq!(Descriptor::parse(descriptor.as_bytes()).as_ref(), Ok(&descriptor));
                let once = sddl::print(descriptor.as_ref(), domain).expect("what was parsed prints");
                let read = sddl::parse(&once, domain).expect("what was printed parses");
                assert_eq!(once, sddl::print(read.as_ref(), domain).expect("prints"));
            }
        }
    }
    let _ = sddl::parse_sid(text, None);
    let _ = sddl::parse_rights(text);
}

/// Conditions evaluate to one of three values, never panic, and mean the same after they were written as text.
pub fn condition(data: &[u8]) {
    let token = someone(data.first().copied().unwrap_or(0));
    let attributes = sddl::parse("S:(RA;;;;;WD;(\"b\",TI,0,1,2))(RA;;;;;WD;(\"c\",TS,0,\"x\"))", None).expect("valid");
    let resource = attributes.as_ref().sacl().entries();
    let artx = [b"artx", data].concat();
    for data in [data, &artx] {
        for effect in [Effect::Allow, Effect::Deny] {
            let facts = Facts { token: &token, resource, effect, readings: vicar_nt::Readings::empty() };
            let truth = evaluate(data, &facts);
            assert_eq!(truth, evaluate(data, &facts));
            if truth != Truth::Unknown {
                assert_eq!(applies(Effect::Allow, truth), applies(Effect::Deny, truth));
            }
        }
    }
    let truths = |descriptor: &Descriptor| {
        let Dacl::List(list) = descriptor.as_ref().dacl() else { return Vec::new() };
        let truth = |effect| {
            let facts = Facts { token: &token, resource, effect, readings: vicar_nt::Readings::empty() };
            list.aces().filter_map(move |ace| ace.parts().map(|parts| evaluate(parts.data, &facts)))
        };
        truth(Effect::Allow).chain(truth(Effect::Deny)).collect()
    };
    if let Some(descriptor) = conditional(&artx) {
        // What cannot be said in text does not print, or does not read.
        let text = sddl::print(descriptor.as_ref(), None).ok();
        if let Some(again) = text.and_then(|text| sddl::parse(&text, None).ok()) {
            assert_eq!(truths(&descriptor), truths(&again));
        }
    }
    if let Ok(text) = core::str::from_utf8(data) {
        let text = format!("D:(XA;;GA;;;WD;({text}))");
        let Ok(descriptor) = sddl::parse(&text, None) else { return };
        let printed = sddl::print(descriptor.as_ref(), None).expect("what was parsed prints");
        let again = sddl::parse(&printed, None).expect("what was printed parses");
        assert_eq!(truths(&descriptor), truths(&again));
    }
}

/// A descriptor whose DACL has one entry, for everyone, with this condition.
fn conditional(condition: &[u8]) -> Option<Descriptor> {
    let sid = well_known::EVERYONE;
    let mut ace = vec![9, 0, 0, 0, 0, 0, 0, 0x10];
    ace.extend_from_slice(sid.as_bytes());
    ace.extend_from_slice(condition);
    ace.resize(ace.len().next_multiple_of(4), 0);
    let len = u16::try_from(ace.len()).ok()?.to_le_bytes();
    ace[2..4].copy_from_slice(&len);
    let (ace, _) = Ace::parse(&ace).ok()?;
    let acl = Acl::builder().verbatim(&ace).build().ok()?;
    Descriptor::builder().dacl(acl).build().ok()
}

fn someone(seed: u8) -> TokenState {
    let bit = |at: u8| seed & (1 << at) != 0;
    let user: Sid = "S-1-5-21-1-2-3-1001".parse().expect("a SID");
    let deny_only = if bit(0) { GroupAttributes::USE_FOR_DENY_ONLY } else { GroupAttributes::ALWAYS_ENABLED };
    let mut token = TokenState::builder(user)
        .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
        .group(well_known::ADMINISTRATORS, deny_only)
        .integrity(if bit(1) { IntegrityLevel::LOW } else { IntegrityLevel::MEDIUM });
    if bit(2) {
        token = token.restricting(well_known::EVERYONE);
        if bit(3) {
            token = token.write_restricted();
        }
    }
    if bit(4) {
        token = token.app_container("S-1-15-2-1-2-3-4-5-6-7".parse().expect("a SID"));
    }
    if bit(5) {
        token = token
            .privilege(Privilege::Security, PrivilegeState::Enabled)
            .privilege(Privilege::TakeOwnership, PrivilegeState::Enabled);
    }
    for (name, kind, value) in
        [("a", ClaimType::Int64, Value::Integer(1)), ("t", ClaimType::Boolean, Value::Boolean(bit(6)))]
    {
        let name = encode(name);
        let name = Utf16::from_bytes(&name).expect("whole units");
        let claim = Claim::new(name, kind, ClaimFlags::empty(), &[value]).expect("a claim");
        token = token.user_claim(claim.clone()).device_claim(claim.clone()).local_claim(claim);
    }
    token.build().expect("a token")
}

/// What one process reads of another's is a message that means itself, or none.
pub fn messages(data: &[u8]) {
    vicar_os::elevated::judge_message(data);
    vicar_os::sealed::judge_message(data);
}
