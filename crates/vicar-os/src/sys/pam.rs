//! The PAM library, loaded when it is needed.
//!
//! Only a short-lived helper process calls this: modules may change the process's ids, leave threads behind or crash.
#![expect(unsafe_code, reason = "the PAM library is a C library that is found at run time")]

use crate::supervisor::Unasked;
use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ptr::{null, null_mut};

// Linux-PAM, security/_pam_types.h. The numbers are part of its binary interface.
const SUCCESS: c_int = 0;
const BUFFER_ERROR: c_int = 5;
const CONVERSATION_ERROR: c_int = 19;
const ITEM_USER: c_int = 2;
const ITEM_TTY: c_int = 3;
const ITEM_RHOST: c_int = 4;
const ITEM_FAIL_DELAY: c_int = 10;
const SILENT: c_int = 0x8000;
const DISALLOW_NULL_AUTHTOK: c_int = 0x1;
const PROMPT_ECHO_OFF: c_int = 1;
const ERROR_MESSAGE: c_int = 3;
const TEXT_INFO: c_int = 4;
const MOST_MESSAGES: usize = 32;

/// Longest answer to a prompt, in bytes (PAM_MAX_RESP_SIZE without its terminator).
pub(crate) const MAX_ANSWER_LEN: usize = 511;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    unused: c_int,
}

type Converse = extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;
type Delay = extern "C" fn(c_int, c_uint, *mut c_void);

#[repr(C)]
struct ConversationHook {
    converse: Converse,
    data: *mut c_void,
}

#[repr(C)]
struct Handle {
    _opaque: [u8; 0],
}

type Start = unsafe extern "C" fn(*const c_char, *const c_char, *const ConversationHook, *mut *mut Handle) -> c_int;
type StartConfdir = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const ConversationHook,
    *const c_char,
    *mut *mut Handle,
) -> c_int;
type SetItem = unsafe extern "C" fn(*mut Handle, c_int, *const c_void) -> c_int;
type GetItem = unsafe extern "C" fn(*const Handle, c_int, *mut *const c_void) -> c_int;
type Verb = unsafe extern "C" fn(*mut Handle, c_int) -> c_int;

/// What is asked of PAM.
pub(crate) struct Question<'a> {
    pub(crate) service: &'a CStr,
    pub(crate) user: &'a CStr,
    pub(crate) password: &'a CStr,
    pub(crate) remote_host: Option<&'a CStr>,
    /// Where service files are, instead of the system's directories.
    pub(crate) confdir: Option<&'a CStr>,
}

/// A call that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Start,
    SetItem,
    Authenticate,
    AccountManagement,
    GetUser,
}

/// Why PAM did not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no PAM library.
    NoLibrary,
    /// The library lacks a function.
    NoFunction,
    /// A module asked for something else than one password.
    Prompted,
    /// Everything was accepted although nobody asked for the password.
    NotAsked,
    /// A call returned something else than success.
    Code(Step, c_int),
}

/// What came of it.
pub(crate) struct Outcome {
    /// The user PAM ended with, as bytes; it may differ from the one asked for.
    pub(crate) user: Result<Vec<u8>, Failure>,
    /// How long modules want the answer held back.
    pub(crate) delay_us: u32,
}

/// The state behind one conversation; shared with the callbacks, which run on this thread inside a PAM call.
struct Talk<'a> {
    password: &'a CStr,
    /// Whether a password prompt is in place now: only while authenticating.
    open: Cell<bool>,
    answered: Cell<bool>,
    refused: Cell<bool>,
    delay_us: Cell<u32>,
}

/// Runs one sign-in: authentication, then account management, then the user's name read again.
///
/// # Source
/// pam_start(3), pam_start_confdir(3), pam_set_item(3), pam_authenticate(3), pam_acct_mgmt(3), pam_get_item(3),
/// pam_conv(3), pam_fail_delay(3).
pub(crate) fn sign_in(question: &Question<'_>, unasked: Unasked) -> Outcome {
    let talk = Talk {
        password: question.password,
        open: Cell::new(false),
        answered: Cell::new(false),
        refused: Cell::new(false),
        delay_us: Cell::new(0),
    };
    let user = converse_whole(question, &talk, unasked);
    // What a module made of a refused prompt does not matter, not even if it was success.
    let user = if talk.refused.get() { Err(Failure::Prompted) } else { user };
    Outcome { user, delay_us: talk.delay_us.get() }
}

fn converse_whole(question: &Question<'_>, talk: &Talk<'_>, unasked: Unasked) -> Result<Vec<u8>, Failure> {
    let library = Library::load()?;
    let session = Session::start(&library, question, talk)?;
    // The password-failure delay is held by the caller, so that waiting takes no helper process.
    session.set_item(ITEM_FAIL_DELAY, (delay as Delay) as *const c_void)?;
    session.set_item(ITEM_TTY, c"vicar".as_ptr().cast())?;
    if let Some(host) = question.remote_host {
        session.set_item(ITEM_RHOST, host.as_ptr().cast())?;
    }
    talk.open.set(true);
    session.call(library.authenticate, Step::Authenticate)?;
    talk.open.set(false);
    session.call(library.account_management, Step::AccountManagement)?;
    if !talk.answered.get() && unasked == Unasked::Refuse {
        return Err(Failure::NotAsked);
    }
    session.user()
}

struct Library {
    handle: *mut c_void,
    start: Start,
    set_item: SetItem,
    get_item: GetItem,
    authenticate: Verb,
    account_management: Verb,
    end: Verb,
}

impl Library {
    fn load() -> Result<Self, Failure> {
        // SAFETY:
        // 1. the name is a C string.
        // 2. the library's initialisers run code of the system's PAM library, which this process trusts with passwords.
        let handle = unsafe { libc::dlopen(c"libpam.so.0".as_ptr(), libc::RTLD_NOW) };
        if handle.is_null() {
            return Err(Failure::NoLibrary);
        }
        // SAFETY, for the six functions: the types are those of the library's public headers (see each manual page),
        // which its binary interface has kept since version 0; the addresses are not null (`symbol` checks).
        let start = symbol(handle, c"pam_start")?;
        let set_item = symbol(handle, c"pam_set_item")?;
        let get_item = symbol(handle, c"pam_get_item")?;
        let authenticate = symbol(handle, c"pam_authenticate")?;
        let account_management = symbol(handle, c"pam_acct_mgmt")?;
        let end = symbol(handle, c"pam_end")?;
        Ok(Self {
            handle,
            // SAFETY: see above, pam_start(3).
            start: unsafe { core::mem::transmute::<*mut c_void, Start>(start) },
            // SAFETY: see above, pam_set_item(3).
            set_item: unsafe { core::mem::transmute::<*mut c_void, SetItem>(set_item) },
            // SAFETY: see above, pam_get_item(3).
            get_item: unsafe { core::mem::transmute::<*mut c_void, GetItem>(get_item) },
            // SAFETY: see above, pam_authenticate(3).
            authenticate: unsafe { core::mem::transmute::<*mut c_void, Verb>(authenticate) },
            // SAFETY: see above, pam_acct_mgmt(3).
            account_management: unsafe { core::mem::transmute::<*mut c_void, Verb>(account_management) },
            // SAFETY: see above, pam_end(3).
            end: unsafe { core::mem::transmute::<*mut c_void, Verb>(end) },
        })
    }

    fn start_confdir(&self) -> Result<StartConfdir, Failure> {
        let address = symbol(self.handle, c"pam_start_confdir")?;
        // SAFETY: the type is that of pam_start_confdir(3); the address is not null (`symbol` checks).
        Ok(unsafe { core::mem::transmute::<*mut c_void, StartConfdir>(address) })
    }
}

fn symbol(library: *mut c_void, name: &CStr) -> Result<*mut c_void, Failure> {
    // SAFETY:
    // 1. `library` came from a dlopen that succeeded and is never closed.
    // 2. `name` is a C string.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    if address.is_null() { Err(Failure::NoFunction) } else { Ok(address) }
}

/// A started transaction; ends when dropped.
struct Session<'a> {
    library: &'a Library,
    handle: *mut Handle,
    last: Cell<c_int>,
}

impl<'a> Session<'a> {
    fn start(library: &'a Library, question: &Question<'_>, talk: &'a Talk<'_>) -> Result<Self, Failure> {
        let hook = ConversationHook { converse, data: core::ptr::from_ref(talk).cast_mut().cast() };
        let mut handle = null_mut();
        let (service, user) = (question.service.as_ptr(), question.user.as_ptr());
        let code = match question.confdir {
            // SAFETY:
            // 1. `service` and `user` are C strings that the library copies.
            // 2. `hook` is alive during the call; the library copies it. `talk`, which it points to, outlives the session.
            // 3. `handle` is writable.
            None => unsafe { (library.start)(service, user, &raw const hook, &raw mut handle) },
            Some(confdir) => {
                let start = library.start_confdir()?;
                // SAFETY: as above; `confdir` is a C string that the library copies.
                unsafe { start(service, user, &raw const hook, confdir.as_ptr(), &raw mut handle) }
            }
        };
        if code != SUCCESS || handle.is_null() {
            return Err(Failure::Code(Step::Start, code));
        }
        Ok(Self { library, handle, last: Cell::new(SUCCESS) })
    }

    /// Sets an item; strings are copied by the library, the delay function is kept as an address.
    fn set_item(&self, item: c_int, value: *const c_void) -> Result<(), Failure> {
        // SAFETY:
        // 1. the handle is live until this session is dropped.
        // 2. `value` is a C string for the string items and a function of type `Delay` for the delay item.
        let code = unsafe { (self.library.set_item)(self.handle, item, value) };
        self.done(code, Step::SetItem)
    }

    fn call(&self, verb: Verb, step: Step) -> Result<(), Failure> {
        // SAFETY:
        // 1. the handle is live until this session is dropped.
        // 2. the conversation and delay functions and the state behind them outlive the session.
        let code = unsafe { verb(self.handle, SILENT | DISALLOW_NULL_AUTHTOK) };
        self.done(code, step)
    }

    /// Reads the user's name again: a module may have changed it.
    fn user(&self) -> Result<Vec<u8>, Failure> {
        let mut item: *const c_void = null();
        // SAFETY: the handle is live until this session is dropped; `item` is writable.
        let code = unsafe { (self.library.get_item)(self.handle, ITEM_USER, &raw mut item) };
        self.done(code, Step::GetUser)?;
        if item.is_null() {
            return Err(Failure::Code(Step::GetUser, code));
        }
        // SAFETY: PAM_USER is a C string that the library owns until the session ends (pam_get_item(3)).
        Ok(unsafe { CStr::from_ptr(item.cast()) }.to_bytes().to_vec())
    }

    fn done(&self, code: c_int, step: Step) -> Result<(), Failure> {
        self.last.set(code);
        if code == SUCCESS { Ok(()) } else { Err(Failure::Code(step, code)) }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from a start that succeeded and is not used again.
        let _code = unsafe { (self.library.end)(self.handle, self.last.get()) };
    }
}

/// Notes how long modules want a failure held back, instead of sleeping here.
extern "C" fn delay(result: c_int, delay_us: c_uint, data: *mut c_void) {
    // SAFETY: the library passes the conversation's data, which is a `Talk` that outlives the session, or null.
    let Some(talk) = (unsafe { data.cast::<Talk<'_>>().as_ref() }) else { return };
    if result != SUCCESS {
        talk.delay_us.set(talk.delay_us.get().max(delay_us));
    }
}

/// Answers exactly one prompt without echo, while authenticating, with the password; swallows messages to show; refuses
/// everything else.
extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the library passes the pointer given to pam_start, which is a `Talk` that outlives the session.
    let Some(talk) = (unsafe { data.cast::<Talk<'_>>().as_ref() }) else { return CONVERSATION_ERROR };
    let Some(count) = usize::try_from(count).ok().filter(|count| (1..=MOST_MESSAGES).contains(count)) else {
        talk.refused.set(true);
        return CONVERSATION_ERROR;
    };
    if messages.is_null() || responses.is_null() {
        talk.refused.set(true);
        return CONVERSATION_ERROR;
    }
    // SAFETY: pam_conv(3): `messages` is an array of `count` pointers; not null (checked), at most 32 (checked).
    let messages = unsafe { core::slice::from_raw_parts(messages, count) };
    let Some(prompt) = the_prompt(messages, talk) else {
        talk.refused.set(true);
        return CONVERSATION_ERROR;
    };
    // SAFETY: a plain allocation; zeroed memory is an array of valid, empty responses.
    let answers: *mut Response = unsafe { libc::calloc(count, size_of::<Response>()) }.cast();
    if answers.is_null() {
        return BUFFER_ERROR;
    }
    if let Some(index) = prompt {
        // SAFETY: the password is a C string; the copy is made with malloc, because the module frees it.
        let answer = unsafe { libc::strdup(talk.password.as_ptr()) };
        if answer.is_null() {
            // SAFETY: made by calloc above and handed to nobody.
            unsafe { libc::free(answers.cast()) };
            return BUFFER_ERROR;
        }
        // SAFETY: `index` is below `count`, the length of the allocation.
        let slot = unsafe { answers.add(index) };
        // SAFETY: `slot` is in the allocation, aligned, and nobody else knows it.
        unsafe { slot.write(Response { text: answer, unused: 0 }) };
        talk.answered.set(true);
    }
    // SAFETY: pam_conv(3): `responses` is where the array goes; not null (checked). The module frees it.
    unsafe { responses.write(answers) };
    SUCCESS
}

/// Finds the one prompt in a group of messages: `None` if anything else is asked, `Some(None)` if nothing is.
fn the_prompt(messages: &[*const Message], talk: &Talk<'_>) -> Option<Option<usize>> {
    let mut prompt = None;
    for (index, &message) in messages.iter().enumerate() {
        // SAFETY: pam_conv(3): each pointer is to a message that lives during the call; null is handled.
        let message = unsafe { message.as_ref() }?;
        match message.style {
            PROMPT_ECHO_OFF if talk.open.get() && !talk.answered.get() && prompt.is_none() => prompt = Some(index),
            ERROR_MESSAGE | TEXT_INFO => {}
            _other => return None,
        }
    }
    Some(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk() -> Talk<'static> {
        Talk {
            password: c"secret",
            open: Cell::new(true),
            answered: Cell::new(false),
            refused: Cell::new(false),
            delay_us: Cell::new(0),
        }
    }

    fn ask(talk: &Talk<'_>, styles: &[c_int]) -> (c_int, Vec<Option<Vec<u8>>>) {
        let messages: Vec<Message> = styles.iter().map(|&style| Message { style, text: c"?".as_ptr() }).collect();
        let mut pointers: Vec<*const Message> = messages.iter().map(core::ptr::from_ref).collect();
        let mut responses: *mut Response = null_mut();
        let count = c_int::try_from(styles.len()).unwrap();
        let data = core::ptr::from_ref(talk).cast_mut().cast();
        let code = converse(count, pointers.as_mut_ptr(), &raw mut responses, data);
        if code != SUCCESS {
            assert!(responses.is_null());
            return (code, Vec::new());
        }
        let mut answers = Vec::new();
        for index in 0..styles.len() {
            // SAFETY: the callback returned an array as long as the one it was given.
            let slot = unsafe { responses.add(index) };
            // SAFETY: as above.
            let text = unsafe { slot.read() }.text;
            answers.push(if text.is_null() {
                None
            } else {
                // SAFETY: a C string made by strdup.
                let copy = unsafe { CStr::from_ptr(text) }.to_bytes().to_vec();
                // SAFETY: made by strdup, freed once.
                unsafe { libc::free(text.cast()) };
                Some(copy)
            });
        }
        // SAFETY: made by calloc, freed once.
        unsafe { libc::free(responses.cast()) };
        (code, answers)
    }

    #[test]
    fn one_prompt_without_echo_gets_the_password_once() {
        let talk = talk();
        assert_eq!(ask(&talk, &[PROMPT_ECHO_OFF]), (SUCCESS, vec![Some(b"secret".to_vec())]));
        assert_eq!(ask(&talk, &[TEXT_INFO]), (SUCCESS, vec![None]));
        assert_eq!(ask(&talk, &[PROMPT_ECHO_OFF]).0, CONVERSATION_ERROR);
        assert!(talk.refused.get());
    }

    #[test]
    fn messages_around_the_prompt_are_swallowed() {
        let (code, answers) = ask(&talk(), &[TEXT_INFO, PROMPT_ECHO_OFF, ERROR_MESSAGE]);
        assert_eq!((code, answers), (SUCCESS, vec![None, Some(b"secret".to_vec()), None]));
    }

    #[test]
    fn any_other_prompt_is_refused() {
        for styles in [&[2][..], &[7], &[0], &[-1], &[PROMPT_ECHO_OFF, PROMPT_ECHO_OFF], &[TEXT_INFO, 2]] {
            let talk = talk();
            assert_eq!(ask(&talk, styles).0, CONVERSATION_ERROR, "{styles:?}");
            assert!(talk.refused.get() && !talk.answered.get());
        }
        let closed = talk();
        closed.open.set(false);
        assert_eq!(ask(&closed, &[PROMPT_ECHO_OFF]).0, CONVERSATION_ERROR);
        assert_eq!(ask(&talk(), &[]).0, CONVERSATION_ERROR);
        assert_eq!(ask(&talk(), &[TEXT_INFO; 33]).0, CONVERSATION_ERROR);
    }

    #[test]
    fn the_longest_wanted_delay_of_failures_is_kept() {
        let talk = talk();
        let data: *mut c_void = core::ptr::from_ref(&talk).cast_mut().cast();
        delay(7, 2_000_000, data);
        delay(7, 1_000_000, data);
        delay(SUCCESS, 9_000_000, data);
        assert_eq!(talk.delay_us.get(), 2_000_000);
        delay(7, 1, null_mut());
    }
}
