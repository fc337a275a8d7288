//! Makes a seed of the zTOC target: `ztoc_seed gzip|tar LAYER SPAN_SIZE SEED`.

use soci_layout::Digest;
use soci_layout::layer::{Scan, ScanObserver, ScanRequest, scan};
use soci_layout::media_type::Compression;

struct Quiet;

impl ScanObserver for Quiet {
    fn progress(&self, _: u64) {}
    fn cancelled(&self) -> bool {
        false
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, compression, layer, span_size, seed] = &arguments[..] else {
        return Err("ztoc_seed gzip|tar LAYER SPAN_SIZE SEED".into());
    };
    let blob = std::fs::read(layer)?;
    let request = ScanRequest {
        digest: Digest::of(&blob),
        size: blob.len() as u64,
        compression: if compression == "gzip" { Compression::Gzip } else { Compression::None },
        span_size: span_size.parse()?,
        build_tool_identifier: "fuzz",
        second_thread: false,
    };
    let Scan::Indexed(ztoc) = scan(&mut &*blob, &request, &Quiet)? else {
        return Err("the layer is not supported".into());
    };
    std::fs::write(seed, soci_layout_fuzz::ztoc::shrink(&ztoc.encode()?))?;
    Ok(())
}
