//! Calling the routines as C does. All calls of the tests are made by this macro.

/// Calls routines by name.
macro_rules! c {
    ($routine:ident($($argument:expr),* $(,)?)) => {{
        let call = ($($argument,)*);
        $crate::call::c!(@ $routine, call, $($argument),*)
    }};
    (@ $routine:ident, $call:ident,) => {{
        let () = $call;
        // SAFETY:
        // 1. the routine takes no pointer.
        unsafe { vicar_ntifs::$routine() }
    }};
    (@ $routine:ident, $call:ident, $a:expr) => {{
        let (a,) = $call;
        // SAFETY:
        // 1. the test passes what the routine's page allows, or what the routine itself tests.
        unsafe { vicar_ntifs::$routine(a) }
    }};
    (@ $routine:ident, $call:ident, $a:expr, $b:expr) => {{
        let (a, b) = $call;
        // SAFETY:
        // 1. as above.
        unsafe { vicar_ntifs::$routine(a, b) }
    }};
    (@ $routine:ident, $call:ident, $a:expr, $b:expr, $c:expr) => {{
        let (a, b, c) = $call;
        // SAFETY:
        // 1. as above.
        unsafe { vicar_ntifs::$routine(a, b, c) }
    }};
    (@ $routine:ident, $call:ident, $a:expr, $b:expr, $c:expr, $d:expr) => {{
        let (a, b, c, d) = $call;
        // SAFETY:
        // 1. as above.
        unsafe { vicar_ntifs::$routine(a, b, c, d) }
    }};
    (@ $routine:ident, $call:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {{
        let (a, b, c, d, e) = $call;
        // SAFETY:
        // 1. as above.
        unsafe { vicar_ntifs::$routine(a, b, c, d, e) }
    }};
    (@ $routine:ident, $call:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {{
        let (a, b, c, d, e, f) = $call;
        // SAFETY:
        // 1. as above.
        unsafe { vicar_ntifs::$routine(a, b, c, d, e, f) }
    }};
    (@ $routine:ident, $call:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr, $g:expr) => {{
        let (a, b, c, d, e, f, g) = $call;
        // SAFETY:
        // 1. as above.
        unsafe { vicar_ntifs::$routine(a, b, c, d, e, f, g) }
    }};
    (@ $routine:ident, $call:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr, $g:expr, $h:expr, $i:expr, $j:expr) => {{
        let (a, b, c, d, e, f, g, h, i, j) = $call;
        // SAFETY:
        // 1. as above.
        unsafe { vicar_ntifs::$routine(a, b, c, d, e, f, g, h, i, j) }
    }};
}
pub(crate) use c;

/// Reads what a routine gave a pointer to.
pub(crate) fn peek<T: Copy>(at: *const T) -> T {
    assert!(!at.is_null() && at.is_aligned());
    // SAFETY:
    // 1. the tests only look at what a routine has just written for them.
    unsafe { at.read() }
}

/// Reads bytes that a routine gave a pointer to.
pub(crate) fn peek_bytes(at: *const u8, length: usize) -> Vec<u8> {
    // SAFETY:
    // 1. as above; bytes have no alignment.
    unsafe { std::slice::from_raw_parts(at, length) }.to_vec()
}

/// Clones what a test passed itself a pointer to.
pub(crate) fn peek_clone<T: Clone>(at: *const T) -> T {
    // SAFETY:
    // 1. the test keeps the value until its thread has told it that it is done.
    let value = unsafe { &*at };
    value.clone()
}

/// A structure of C in which every byte is the same.
pub(crate) fn filled<T: Copy>(byte: u8) -> T {
    let mut value = std::mem::MaybeUninit::<T>::uninit();
    // SAFETY:
    // 1. the value has room for as many bytes as its size says.
    unsafe { value.as_mut_ptr().write_bytes(byte, 1) };
    // SAFETY:
    // 1. the tests only make structures of numbers and pointers so, of which every pattern is a value.
    unsafe { value.assume_init() }
}
