//! libFuzzer's door to [`soci_layout_fuzz::gzip`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| soci_layout_fuzz::gzip::check(data));
