//! What the GSS-API library can do and its safe wrapper does not offer: a credential out of named stores.
//!
//! Only a helper process calls this, see [`crate::source::kerberos`].
#![expect(
    unsafe_code,
    reason = "the wrapper lacks gss_acquire_cred_from and gss_set_neg_mechs; setenv(3) has no safe wrapper"
)]

use core::ffi::{CStr, c_void};
use core::ptr::null_mut;
use libgssapi::credential::Cred;
use libgssapi::error::{Error, MajorFlags};
use libgssapi::oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, GSS_NT_HOSTBASED_SERVICE, Oid};
use libgssapi_sys as raw;
use rustix::io::Errno;

/// Gets the credential for accepting tokens to a service, with the keys of one keytab and one replay cache, and for the
/// Kerberos mechanism only, by itself or negotiated.
///
/// # Inputs
/// - `service`: a service without a host: keys of that service for any host in the keytab are used, and no others.
/// - `keytab`, `replay`: names of stores as the library has them, `FILE:/path` and `file2:/path`.
///
/// # Errors
/// - What the library answered, if there is no such key or a store cannot be used.
///
/// # Source
/// MIT Kerberos, "Developing with GSSAPI", credential store extensions.
pub(crate) fn acquire_acceptor(service: &CStr, keytab: &CStr, replay: &CStr) -> Result<Cred, Error> {
    let name = HostlessName::of(service)?;
    acquire(Some(&name), raw::GSS_C_ACCEPT, &mut [element(c"keytab", keytab), element(c"rcache", replay)])
}

/// Gets the credential for initiating with the tickets of one cache, by the Kerberos mechanism only, by itself or negotiated.
///
/// # Errors
/// - What the library answered, if there is no such cache or it has no ticket.
///
/// # Source
/// As for [`acquire_acceptor`].
pub(crate) fn acquire_initiator(cache: &CStr) -> Result<Cred, Error> {
    acquire(None, raw::GSS_C_INITIATE, &mut [element(c"ccache", cache)])
}

const fn element(key: &CStr, value: &CStr) -> raw::gss_key_value_element_desc {
    raw::gss_key_value_element_desc { key: key.as_ptr(), value: value.as_ptr() }
}

/// The texts that the store's elements point to must outlive the call; the two callers see to that.
///
/// # Source
/// gssapi_ext.h, `gss_acquire_cred_from` and `gss_set_neg_mechs`; RFC 4178 appendix C.
fn acquire(
    name: Option<&HostlessName>,
    usage: u32,
    store: &mut [raw::gss_key_value_element_desc],
) -> Result<Cred, Error> {
    let mut mechanisms = [descriptor(&GSS_MECH_KRB5), descriptor(&GSS_MECH_SPNEGO)];
    let mut wanted = raw::gss_OID_set_desc { count: mechanisms.len(), elements: mechanisms.as_mut_ptr() };
    // One or two elements.
    let count = u32::try_from(store.len()).unwrap_or(0);
    let store = raw::gss_key_value_set_desc { count, elements: store.as_mut_ptr() };
    let (mut minor, mut handle) = (0, null_mut());
    // SAFETY:
    // 1. name, mechanisms, store and the texts of the store are alive during the call, which copies what it keeps.
    // 2. a null name asks for whoever is in the store.
    // 3. `minor` and `handle` are writable; null asks for no copy of the mechanisms and the lifetime.
    let major = unsafe {
        raw::gss_acquire_cred_from(
            &raw mut minor,
            name.map_or(null_mut(), |name| name.0),
            u32::MAX,
            &raw mut wanted,
            usage.cast_signed(),
            &raw const store,
            &raw mut handle,
            null_mut(),
            null_mut(),
        )
    };
    done(major, minor)?;
    // SAFETY: the call above succeeded, so that the handle is a credential of ours alone.
    let credential = unsafe { Cred::from_c(handle) };
    let mut kerberos = [descriptor(&GSS_MECH_KRB5)];
    let mut negotiable = raw::gss_OID_set_desc { count: kerberos.len(), elements: kerberos.as_mut_ptr() };
    // SAFETY:
    // 1. the handle is alive as long as `credential` is.
    // 2. the set is alive during the call, which copies it; `minor` is writable.
    let major = unsafe { raw::gss_set_neg_mechs(&raw mut minor, handle, &raw mut negotiable) };
    done(major, minor)?;
    Ok(credential)
}

/// A service's name, released when dropped.
struct HostlessName(raw::gss_name_t);

impl HostlessName {
    fn of(service: &CStr) -> Result<Self, Error> {
        let bytes = service.to_bytes();
        let mut buffer = raw::gss_buffer_desc { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() };
        let mut kind = descriptor(&GSS_NT_HOSTBASED_SERVICE);
        let (mut minor, mut name) = (0, null_mut());
        // SAFETY:
        // 1. text and kind are alive during the call, which reads and copies them.
        // 2. `minor` and `name` are writable.
        let major = unsafe { raw::gss_import_name(&raw mut minor, &raw mut buffer, &raw mut kind, &raw mut name) };
        done(major, minor)?;
        Ok(Self(name))
    }
}

impl Drop for HostlessName {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the name came from a call that succeeded and is not used again.
        let _major = unsafe { raw::gss_release_name(&raw mut minor, &raw mut self.0) };
    }
}

/// The library reads these bytes and never writes them.
fn descriptor(oid: &Oid<'static>) -> raw::gss_OID_desc {
    let bytes: &[u8] = oid;
    // Object identifiers here have at most 10 bytes.
    let length = u32::try_from(bytes.len()).unwrap_or(0);
    raw::gss_OID_desc { length, elements: bytes.as_ptr().cast_mut().cast::<c_void>() }
}

fn done(major: u32, minor: u32) -> Result<(), Error> {
    if major == raw::GSS_S_COMPLETE { Ok(()) } else { Err(Error { major: MajorFlags::from_bits_retain(major), minor }) }
}

/// Names of the environment by which the library would write what it does to a file, or load mechanisms, or hand its work to
/// another process.
const FORGOTTEN: [&CStr; 6] =
    [c"KRB5RCACHENAME", c"KRB5RCACHETYPE", c"KRB5RCACHEDIR", c"KRB5_TRACE", c"GSS_MECH_CONFIG", c"GSS_USE_PROXY"];
/// Names by which it finds credentials and keys that nobody handed to it. Without a name it would look at places that it
/// knows, so each is given one where there is nothing.
const NOWHERE: [&CStr; 3] = [c"KRB5CCNAME", c"KRB5_KTNAME", c"KRB5_CLIENT_KTNAME"];

/// Makes this process find no credential by itself. `KRB5_CONFIG` stays: it says where the realms are.
///
/// # Errors
/// - `ENOMEM`.
///
/// # Source
/// kerberos(7) "ENVIRONMENT VARIABLES"; setenv(3), unsetenv(3).
pub(crate) fn find_nothing_by_oneself() -> Result<(), Errno> {
    for name in FORGOTTEN {
        // SAFETY:
        // 1. the name is a C string.
        // 2. only a helper process calls this, while it has one thread: nobody else reads the environment.
        let _always_done = unsafe { libc::unsetenv(name.as_ptr()) };
    }
    for name in NOWHERE {
        // SAFETY: as above; the value is a C string, and both are copied.
        let result = unsafe { libc::setenv(name.as_ptr(), c"MEMORY:nothing".as_ptr(), 1) };
        if result != 0 {
            return Err(Errno::NOMEM);
        }
    }
    Ok(())
}
