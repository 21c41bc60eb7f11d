#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| vicar_fuzz::sddl(text));
