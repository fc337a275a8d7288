//! Two entries of tables of contents compared, field by field.

use super::toc::FileRef;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Name,
    Type,
    Offset,
    Size,
    Linkname,
    Mode,
    Uid,
    Gid,
    Uname,
    Gname,
    ModTime,
    Device,
    Xattrs,
    /// The PAX records that give no extended attribute.
    Pax,
}

impl Field {
    /// All fields, in the order in which they are told.
    pub(crate) const ALL: [Self; 14] = [
        Self::Name,
        Self::Type,
        Self::Offset,
        Self::Size,
        Self::Linkname,
        Self::Mode,
        Self::Uid,
        Self::Gid,
        Self::Uname,
        Self::Gname,
        Self::ModTime,
        Self::Device,
        Self::Xattrs,
        Self::Pax,
    ];

    /// The fields that the reference's reader compares with the tar header when a file is first read
    /// (`fs/reader/reader.go`).
    pub(crate) const READ: [Self; 9] = [
        Self::Type,
        Self::Name,
        Self::Size,
        Self::Linkname,
        Self::Mode,
        Self::Uid,
        Self::Gid,
        Self::ModTime,
        Self::Xattrs,
    ];

    /// As it is called in a zTOC.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Type => "type",
            Self::Offset => "uncompressed_offset",
            Self::Size => "uncompressed_size",
            Self::Linkname => "linkname",
            Self::Mode => "mode",
            Self::Uid => "uid",
            Self::Gid => "gid",
            Self::Uname => "uname",
            Self::Gname => "gname",
            Self::ModTime => "mod_time",
            Self::Device => "device number",
            Self::Xattrs => "extended attributes",
            Self::Pax => "PAX records",
        }
    }

    /// Whether two entries have the same there.
    pub(crate) fn is_same(self, a: &FileRef<'_>, b: &FileRef<'_>) -> bool {
        match self {
            Self::Name => a.name() == b.name(),
            Self::Type => a.file_type() == b.file_type(),
            Self::Offset => a.uncompressed_offset() == b.uncompressed_offset(),
            Self::Size => a.uncompressed_size() == b.uncompressed_size(),
            Self::Linkname => a.linkname() == b.linkname(),
            Self::Mode => a.mode() == b.mode(),
            Self::Uid => a.uid() == b.uid(),
            Self::Gid => a.gid() == b.gid(),
            Self::Uname => a.uname() == b.uname(),
            Self::Gname => a.gname() == b.gname(),
            Self::ModTime => a.mod_time() == b.mod_time(),
            Self::Device => (a.devmajor(), a.devminor()) == (b.devmajor(), b.devminor()),
            Self::Xattrs => a.xattrs().eq(b.xattrs()),
            Self::Pax => a.other_pax().eq(b.other_pax()),
        }
    }

    /// What an entry has there, for people.
    pub(crate) fn text(self, file: &FileRef<'_>) -> String {
        match self {
            Self::Name => escaped(file.name()),
            Self::Type => file.file_type().as_str().to_owned(),
            Self::Offset => file.uncompressed_offset().to_string(),
            Self::Size => file.uncompressed_size().to_string(),
            Self::Linkname => escaped(file.linkname()),
            Self::Mode => format!("{:#o}", file.mode()),
            Self::Uid => file.uid().to_string(),
            Self::Gid => file.gid().to_string(),
            Self::Uname => escaped(file.uname()),
            Self::Gname => escaped(file.gname()),
            Self::ModTime => {
                let time = file.mod_time();
                format!("{}.{:09} s", time.seconds, time.nanoseconds)
            }
            Self::Device => format!("{}:{}", file.devmajor(), file.devminor()),
            Self::Xattrs => records(file.xattrs()),
            Self::Pax => records(file.other_pax()),
        }
    }
}

/// Those of the `fields` in which two entries differ.
pub(crate) fn differences(
    fields: &[Field],
    a: &FileRef<'_>,
    b: &FileRef<'_>,
) -> impl Iterator<Item = Field> {
    fields.iter().copied().filter(move |field| !field.is_same(a, b))
}

fn records<'a>(records: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> String {
    let texts = records.map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
    texts.collect::<Vec<_>>().join(" ")
}

fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::toc::{Entry, FileType, ModTime, Toc};
    use super::*;

    /// Each change is seen in its own field, and all of them have a text and a name of their own.
    #[test]
    fn every_field() {
        let plain = Entry::plain(b"a", FileType::Regular);
        let xattr: &[(&[u8], &[u8])] = &[(b"SCHILY.xattr.user.x", b"1")];
        let comment: &[(&[u8], &[u8])] = &[(b"comment", b"1")];
        let changed = [
            Entry { name: b"b\n", ..plain },
            Entry { file_type: FileType::Fifo, ..plain },
            Entry { uncompressed_offset: 1, ..plain },
            Entry { uncompressed_size: 1, ..plain },
            Entry { linkname: b"l", ..plain },
            Entry { mode: 0o755, ..plain },
            Entry { uid: 1, ..plain },
            Entry { gid: 1, ..plain },
            Entry { uname: b"u", ..plain },
            Entry { gname: b"g", ..plain },
            Entry { mod_time: ModTime { seconds: -1, nanoseconds: 5 }, ..plain },
            Entry { devminor: 1, ..plain },
            Entry { pax: xattr, ..plain },
            Entry { pax: comment, ..plain },
        ];
        let mut toc = Toc::new();
        for entry in [plain].iter().chain(&changed) {
            toc.push(entry).expect("room");
        }
        let files: Vec<FileRef<'_>> = toc.iter().collect();
        let mut names = std::collections::BTreeSet::new();
        for (file, field) in files[1..].iter().zip(Field::ALL) {
            let found: Vec<Field> = differences(&Field::ALL, &files[0], file).collect();
            assert_eq!(found, [field]);
            assert_ne!(field.text(&files[0]), field.text(file));
            assert!(names.insert(field.name()));
        }
        assert_eq!(Field::Name.text(&files[1]), "b\\n");
        assert_eq!(Field::ModTime.text(&files[11]), "-1.000000005 s");
        assert_eq!(Field::Xattrs.text(&files[13]), "user.x=1");
    }
}
