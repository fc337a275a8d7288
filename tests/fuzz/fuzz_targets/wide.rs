//! libFuzzer's door to [`soci_layout_fuzz::wide`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soci_layout_fuzz::wide::check(data));
