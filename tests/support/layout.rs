// For the examples in the documentation: a copy of the fixture `single` in a directory that goes with the value.
{
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/layouts/single");
    let copy = tempfile::tempdir()?;
    for entry in walkdir::WalkDir::new(from).min_depth(1) {
        let entry = entry?;
        let to = copy.path().join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            std::fs::create_dir(to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    copy
}
