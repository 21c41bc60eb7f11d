//! What the other processes of a conversation do: lines of hexadecimal tokens in, lines out.

use crate::realm::{hex, unhex};
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext as _, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE};

/// Names the part that this process plays.
pub(crate) const ROLE: &str = "VICAR_TEST_KERBEROS_ROLE";

/// GSS_C_DCE_STYLE: a third token, from the client to the service.
const THIRD: u32 = 0x1000;

pub(crate) fn play(role: &str) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = if role == "client" { client(&arguments[0], &arguments[1]) } else { service() };
    if let Err(error) = result {
        println!("failed {}", error.to_string().replace('\n', " "));
    }
}

/// The next token, or nothing when nobody says any more.
fn heard() -> Option<Vec<u8>> {
    let mut line = String::new();
    let len = std::io::stdin().read_line(&mut line).unwrap();
    (len > 0).then(|| unhex(line.trim_end()))
}

fn client(service: &str, how: &str) -> Result<(), Error> {
    let has = |word: &str| how.split(',').any(|part| part == word);
    let mut flags = CtxFlags::empty();
    flags.set(CtxFlags::GSS_C_DELEG_FLAG, has("delegate"));
    flags.set(CtxFlags::GSS_C_MUTUAL_FLAG, !has("one-way"));
    if has("third") {
        flags |= CtxFlags::from_bits_retain(THIRD);
    }
    let mechanism = if has("plain") { GSS_MECH_KRB5 } else { GSS_MECH_SPNEGO };
    let target = Name::new(format!("{service}@localhost").as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE))?;
    let mut context = ClientCtx::new(None, target, flags, Some(mechanism));
    let mut answer = None;
    loop {
        let token = context.step(answer.as_deref(), None)?;
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            println!("token {}", hex(&token));
        }
        if context.is_complete() {
            println!("done {}", context.target_name()?);
            return Ok(());
        }
        answer = heard();
        if answer.is_none() {
            return Ok(());
        }
    }
}

fn service() -> Result<(), Error> {
    let name = Name::new(b"host@localhost", Some(GSS_NT_HOSTBASED_SERVICE))?;
    let mut context = ServerCtx::new(Some(Cred::acquire(Some(&name), None, CredUsage::Accept, None)?));
    while let Some(token) = heard() {
        let answer = context.step(&token, None)?;
        if let Some(answer) = answer.filter(|answer| !answer.is_empty()) {
            println!("token {}", hex(&answer));
        }
        if context.is_complete() {
            println!("done {}", context.source_name()?);
            return Ok(());
        }
    }
    Ok(())
}
