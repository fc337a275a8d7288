//! Whether an argument means a path or an image in a registry.

use std::path::Path;

use soci_layout::registry::Reference;

/// The image that is meant: there is no such path, and it is `[HOST/]REPO:TAG` or has a digest. What begins as paths do is one,
/// and so is a directory with a name behind it, as `push` takes it.
pub(crate) fn registry_image(argument: &Path) -> Option<Reference> {
    let text = argument.to_str()?;
    let last = text.rsplit('/').next().unwrap_or(text);
    let named = text.rsplit_once(':').is_some_and(|(before, _)| Path::new(before).is_dir());
    let is_path = text.starts_with(['/', '.', '~']) || argument.symlink_metadata().is_ok() || named;
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
        // A directory below the current one, and a name in it.
        assert_eq!(registry_image(Path::new("src:v1")), None);
    }
}
