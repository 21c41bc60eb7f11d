#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vicar_fuzz::messages(data));
