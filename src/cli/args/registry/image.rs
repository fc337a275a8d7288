//! Whether an argument means a path or an image in a registry.

use std::path::Path;

use soci_layout::registry::Reference;

/// The image that is meant: there is no such path, and it is `[HOST/]REPO:TAG` or has a digest. What begins as paths do is one.
pub(crate) fn registry_image(argument: &Path) -> Option<Reference> {
    let text = argument.to_str()?;
    let last = text.rsplit('/').next().unwrap_or(text);
    let is_path = text.starts_with(['/', '.', '~']) || argument.symlink_metadata().is_ok();
    if is_path || !last.contains([':', '@']) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_images_are_told_apart() {
        let directory = tempfile::tempdir().expect("a directory");
        let there = directory.path().join("app:v1");
        std::fs::create_dir(&there).expect("created");
        let digest = format!("r.example/app@sha256:{}", "0".repeat(64));
        for image in
            ["r.example/app:v1", "localhost:5000/a/b:v1", "user/app:1", "alpine:3", &digest]
        {
            assert!(registry_image(Path::new(image)).is_some(), "{image}");
        }
        for path in [
            "oci-dir",
            "r.example/app",
            "localhost:5000/app",
            "./app:v1",
            "../app:v1",
            "/app:v1",
            "-",
            "A:1",
        ] {
            assert_eq!(registry_image(Path::new(path)), None, "{path}");
        }
        assert_eq!(registry_image(&there), None);
    }
}
