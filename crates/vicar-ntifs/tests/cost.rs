//! What a call costs through the C interface, beside what it costs in `vicar-kernel`. Prints, and judges nothing:
//! `cargo test --release -p vicar-ntifs --test cost -- --ignored --nocapture`.
#![expect(
    unsafe_code,
    clippy::unwrap_used,
    reason = "a test program: a failure is a panic, and the routines of a C interface are unsafe to call (in call.rs)"
)]
#![expect(dead_code, reason = "shares its stage with other test programs")]

use std::hint::black_box;
use std::ptr::null_mut;
use std::time::Instant;

use vicar_kernel::{
    ClientContext, Locality, LogonKind, OnOpen, Policy, Process, Profile, Qos, Reach, SubjectContext, System, Terms,
    Thread, TokenKind, TokenRef, TokenSpec, Tracking, access::Access,
};
use vicar_nt::check::AccessMode;
use vicar_nt::privilege::PrivilegeState;
use vicar_nt::token::TokenState;
use vicar_nt::{
    GenericMapping, GroupAttributes, ImpersonationLevel, IntegrityLevel, Luid, Privilege, RequestedMask, well_known,
};
use vicar_ntifs::*;

#[path = "it/call.rs"]
mod call;
#[path = "it/stage.rs"]
mod stage;

use call::c;
use stage::*;

/// The least of many short rounds, in nanoseconds a call: what is left of a shared machine's noise is in all of them.
fn cost(mut action: impl FnMut()) -> f64 {
    const CALLS: u32 = 2_000;
    (0..200)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                action();
            }
            start.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .fold(f64::MAX, f64::min)
}

static FILE: GENERIC_MAPPING = GENERIC_MAPPING {
    GenericRead: 0x0012_0089,
    GenericWrite: 0x0012_0116,
    GenericExecute: 0x0012_00A0,
    GenericAll: 0x001F_01FF,
};

const NAMES: [&str; 7] = [
    "take a client on, revert",
    "capture a client (static), delete",
    "capture a client (dynamic), delete",
    "capture a subject, release",
    "access check, captured subject",
    "reference a primary token, dereference",
    "single privilege check",
];

fn hers() -> vicar_nt::descriptor::Descriptor {
    vicar_nt::sddl::parse("O:S-1-5-21-1-1-1-1001G:BUD:(A;;GA;;;BA)(A;;GA;;;SY)(A;;GRGX;;;BU)", None).unwrap()
}

fn kernel() -> [f64; 7] {
    let system = System::new(Profile::V4, Policy::strict());
    let token = |user: vicar_nt::Sid, impersonates: bool| -> TokenRef {
        let mut builder = TokenState::builder(user)
            .group(well_known::EVERYONE, GroupAttributes::ALWAYS_ENABLED)
            .group(well_known::USERS, GroupAttributes::ALWAYS_ENABLED)
            .group(well_known::AUTHENTICATED_USERS, GroupAttributes::ALWAYS_ENABLED)
            .integrity(IntegrityLevel::SYSTEM);
        if impersonates {
            builder = builder.privilege(Privilege::Impersonate, PrivilegeState::EnabledByDefault);
        }
        let state = builder.build().unwrap();
        let spec = TokenSpec { state, kind: TokenKind::Primary, source: *b"cost    ", origin: Luid::ZERO };
        system.logon(LogonKind::Network, None).unwrap().create_token(spec).unwrap()
    };
    let server = Thread::new(&Process::new(&system, token(well_known::NETWORK_SERVICE, true)).unwrap());
    let user = vicar_nt::Sid::new(5, &[21, 1, 1, 1, 1001]).unwrap();
    let client = Thread::new(&Process::new(&system, token(user, false)).unwrap());
    let qos = |tracking| Qos { level: ImpersonationLevel::Impersonation, tracking, reach: Reach::AllHeld };
    let context = ClientContext::capture(&client, qos(Tracking::Static), Locality::Local).unwrap();
    let terms = Terms { level: ImpersonationLevel::Impersonation, reach: Reach::AllHeld, on_open: OnOpen::Copy };
    let descriptor = hers();
    let subject = SubjectContext::capture(&client);
    let access = Access {
        descriptor: Some(descriptor.as_ref()),
        desired: RequestedMask(0x8000_0000),
        previously_granted: RequestedMask(0),
        mapping: GenericMapping::of(0x0012_0089, 0x0012_0116, 0x0012_00A0, 0x001F_01FF),
        mode: AccessMode::User,
    };
    [
        cost(|| {
            let _ = black_box(server.impersonate_token(context.token(), terms).unwrap());
            server.revert();
        }),
        cost(|| drop(black_box(ClientContext::capture(&client, qos(Tracking::Static), Locality::Local)))),
        cost(|| drop(black_box(ClientContext::capture(&client, qos(Tracking::Dynamic), Locality::Local)))),
        cost(|| drop(black_box(SubjectContext::capture(&client)))),
        cost(|| {
            black_box(subject.access_check(&access).unwrap());
        }),
        cost(|| drop(black_box(client.process().reference_primary()))),
        cost(|| {
            black_box(client.holds(Privilege::Impersonate, AccessMode::User));
        }),
    ]
}

fn interface(stage: Stage) -> [f64; 7] {
    let (server, client) = (SERVICE.thread(), ALICE.thread());
    c!(vicar_act_as(server));
    let mut context = capture(client, STATIC).unwrap();
    let descriptor = hers();
    let mut subject = no_subject();
    c!(vicar_act_as(client));
    c!(SeCaptureSubjectContext(&raw mut subject));
    let process = c!(PsGetCurrentProcess());
    let (mut granted, mut answer) = (0, 0);
    let mut other = no_subject();
    let impersonate = LUID { LowPart: 29, HighPart: 0 };
    let (r#static, dynamic, mut made) = (STATIC, DYNAMIC, garbage());
    let client_costs = [
        cost(|| {
            assert_eq!(c!(SeCreateClientSecurity(client, &raw const r#static, 0, &raw mut made)), SUCCESS);
            c!(SeDeleteClientSecurity(&raw mut made));
        }),
        cost(|| {
            assert_eq!(c!(SeCreateClientSecurity(client, &raw const dynamic, 0, &raw mut made)), SUCCESS);
            c!(SeDeleteClientSecurity(&raw mut made));
        }),
        cost(|| {
            c!(SeCaptureSubjectContext(&raw mut other));
            c!(SeReleaseSubjectContext(&raw mut other));
        }),
        cost(|| {
            let allowed = c!(SeAccessCheck(
                descriptor.as_bytes().as_ptr().cast_mut().cast(),
                &raw const subject,
                0,
                0x8000_0000,
                0,
                null_mut(),
                &raw const FILE,
                UserMode,
                &raw mut granted,
                &raw mut answer,
            ));
            assert_eq!(black_box(allowed), 1);
        }),
        cost(|| c!(PsDereferencePrimaryToken(c!(PsReferencePrimaryToken(process))))),
        cost(|| {
            black_box(c!(SeSinglePrivilegeCheck(impersonate, UserMode)));
        }),
    ];
    c!(SeReleaseSubjectContext(&raw mut subject));
    c!(vicar_act_as(server));
    let worn = cost(|| {
        assert_eq!(black_box(c!(SeImpersonateClientEx(&raw const context, null_mut()))), SUCCESS);
        c!(SeStopImpersonatingClient());
    });
    c!(SeDeleteClientSecurity(&raw mut context));
    stage.clean();
    let [a, b, c, d, e, f] = client_costs;
    [worn, a, b, c, d, e, f]
}

#[test]
#[ignore = "long: prints figures"]
fn what_a_call_costs() {
    let (kernel, off, on) = (kernel(), interface(Stage::quiet()), interface(Stage::new()));
    println!("{:40} {:>10} {:>10} {:>10} {:>8}", "ns a pair of calls", "kernel", "C, off", "C, on", "on/off");
    for (((name, kernel), off), on) in NAMES.iter().zip(kernel).zip(off).zip(on) {
        println!("{name:40} {kernel:10.1} {off:10.1} {on:10.1} {:8.1}", on / off);
    }
}
