#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| wynd_fuzz::check("proxy", input));
