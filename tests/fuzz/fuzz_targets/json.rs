//! libFuzzer's door to [`soci_layout_fuzz::json`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soci_layout_fuzz::json::check(data));
