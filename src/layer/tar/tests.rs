//! The walker against hand-made archives, one or more for every rule of `soci-formats` section 2. What is
//! expected of each was compared with Go's `archive/tar`.

use super::{MAX_META_SIZE, TarSummary, TarWalker};

const REAL_SIZE: usize = 483;
const OLD_MAP: usize = 386;
const MODE: usize = 100;
const UID: usize = 108;
const SIZE: usize = 124;
const MTIME: usize = 136;
const CHECKSUM: usize = 148;
const LINK: usize = 157;
const DEVMAJOR: usize = 329;
const PREFIX: usize = 345;
const V7: (usize, &[u8]) = (257, &[0; 8]);
const GNU: (usize, &[u8]) = (257, b"ustar  \0");
const STAR: (usize, &[u8]) = (508, b"tar\0");
const END: &[u8] = &[0; 1024];

type Bytes = Vec<u8>;

/// What it is about, the archive, the [`outcome`].
type Case = (&'static str, Bytes, String);

/// A USTAR header with `edits` at their offsets; the checksum fits.
fn block(flag: u8, name: &str, size: usize, edits: &[(usize, &[u8])]) -> Bytes {
    let mut block = vec![0; 512];
    let size = format!("{size:011o}");
    let fixed: [(usize, &[u8]); 6] = [
        (0, name.as_bytes()),
        (MODE, b"0000644\0"),
        (SIZE, size.as_bytes()),
        (156, &[flag]),
        (257, b"ustar\x0000"),
        (CHECKSUM, b"        "),
    ];
    for (offset, bytes) in fixed.iter().chain(edits) {
        block[*offset..][..bytes.len()].copy_from_slice(bytes);
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM..][..8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(data: &[u8]) -> Bytes {
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(512), 0);
    data
}

fn file(name: &str, data: &[u8]) -> Bytes {
    [block(b'0', name, data.len(), &[]), padded(data)].concat()
}

fn meta(flag: u8, payload: impl AsRef<[u8]>) -> Bytes {
    let payload = payload.as_ref();
    [block(flag, "meta", payload.len(), &[]), padded(payload)].concat()
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let digits = if rest.len() < 9 { 1 } else { 2 };
    format!("{}{rest}", rest.len() + digits)
}

/// An `x` entry from `key=value` texts.
fn pax(records: &[&str]) -> Bytes {
    let record = |text: &&str| text.split_once('=').map(|(key, value)| record(key, value));
    meta(b'x', records.iter().filter_map(record).collect::<String>())
}

/// An old GNU sparse header with one fragment of 5 bytes, the rest `edits`.
fn old_sparse(edits: &[(usize, &[u8])]) -> Bytes {
    let fixed: [(usize, &[u8]); 4] =
        [GNU, (OLD_MAP, b"1"), (OLD_MAP + 12, b"5"), (REAL_SIZE, b"6")];
    [block(b'S', "a", 5, &[&fixed[..], edits].concat()), padded(b"12345")].concat()
}

/// Per entry `type name offset+size` and what is not usual, then the archive size; or class, header offset, name
/// and kind of the error. The same for every way of cutting the stream.
fn outcome(tar: &[u8]) -> String {
    let whole = walk(tar, tar.len());
    for chunk in [1, 100, 511, 512, 513] {
        assert_eq!(walk(tar, chunk), whole, "in chunks of {chunk}");
    }
    whole
}

fn walk(tar: &[u8], chunk: usize) -> String {
    let mut walker = TarWalker::new();
    let mut fed = tar.chunks(chunk.max(1)).map(|chunk| walker.feed(chunk));
    let failed = fed.find_map(Result::err);
    let result = walker.finish();
    if let Some(error) = failed {
        assert_eq!(result.as_ref().err(), Some(&error), "the error stays");
    }
    match result {
        Ok(summary) => show(&summary),
        Err(error) => {
            let class = if error.kind.is_unsupported() { "unsupported" } else { "malformed" };
            let name = error.entry.escape_ascii();
            format!("{class} @{} {name} {:?}", error.offset, error.kind)
        }
    }
}

fn show(summary: &TarSummary) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut shown = Vec::new();
    for entry in summary.toc.iter() {
        let (offset, size) = (entry.uncompressed_offset(), entry.uncompressed_size());
        let (kind, name) = (entry.file_type().as_str(), text(entry.name()));
        let time = entry.mod_time();
        let unusual = [
            ("->", text(entry.linkname()), ""),
            ("mode=", format!("{:o}", entry.mode()), "644"),
            ("uid=", entry.uid().to_string(), "0"),
            ("gid=", entry.gid().to_string(), "0"),
            ("uname=", text(entry.uname()), ""),
            ("gname=", text(entry.gname()), ""),
            ("time=", format!("{}.{:09}", time.seconds, time.nanoseconds), "0.000000000"),
            ("dev=", format!("{}:{}", entry.devmajor(), entry.devminor()), "0:0"),
        ];
        let mut words = vec![format!("{kind} {name} {offset}+{size}")];
        let unusual = unusual.into_iter().filter(|(_, value, usual)| value != usual);
        words.extend(unusual.map(|(label, value, _)| format!("{label}{value}")));
        words.extend(entry.pax().map(|(key, value)| format!("{{{}={}}}", text(key), text(value))));
        shown.push(words.join(" "));
    }
    shown.push(summary.archive_size.to_string());
    shown.join("; ")
}

fn cases() -> Vec<Case> {
    [fields(), headers(), metas(), types(), sparse_files(), times(), ends()].concat()
}

fn case(about: &'static str, tar: impl Into<Bytes>, expected: impl Into<String>) -> Case {
    (about, tar.into(), expected.into())
}

/// Section 2.1.
fn fields() -> Vec<Case> {
    let all: &[(usize, &[u8])] = &[
        (MODE, b"0100755\0"),
        (UID, b"0001750\0"),
        (116, b"0000144\0"),
        (MTIME, b"14524741000\0"),
        (LINK, b"to"),
        (265, b"me"),
        (297, b"us"),
        (DEVMAJOR, b"0000010\0"),
        (337, b"0000001\0"),
    ];
    let id = "4294967295";
    let ids = [pax(&[&format!("uid={id}"), &format!("gid={id}")]), file("a", b"")];
    let negative: &[u8] = b"\xff\xff\xff\xff\xff\xff\xff\xfe";
    let names = [file("./a", b""), file("/b//c", b""), file("../d", b""), file("", b"x")];
    let offsets = [pax(&["uname=u"]), file("a", b"12345"), file("b", b"")];
    let shown = "reg a 512+0 ->to mode=100755 uid=1000 gid=100";
    vec![
        case(
            "every field",
            block(b'0', "a", 0, all),
            format!("{shown} uname=me gname=us time=1699987968.000000000 dev=8:1; 512"),
        ),
        case(
            "V7 has no owner names and devices",
            block(b'0', "a", 0, &[all, &[V7]].concat()),
            format!("{shown} time=1699987968.000000000; 512"),
        ),
        case(
            "names are not cleaned",
            names.concat(),
            "reg ./a 512+0; reg /b//c 1024+0; reg ../d 1536+0; reg  2048+1; 2560",
        ),
        case(
            "meta entries come before the offset",
            offsets.concat(),
            "reg a 1536+5 uname=u {uname=u}; reg b 2560+0; 2560",
        ),
        case(
            "largest ids",
            ids.concat(),
            format!("reg a 1536+0 uid={id} gid={id} {{gid={id}}} {{uid={id}}}; 1536"),
        ),
        case(
            "too large an id",
            [pax(&["gid=4294967296"]), file("a", b"")].concat(),
            "unsupported @1024 a OwnerId { field: \"gid\", value: 4294967296 }",
        ),
        case(
            "negative id",
            block(b'5', "d/", 0, &[(UID, negative)]),
            "unsupported @0 d/ OwnerId { field: \"uid\", value: -2 }",
        ),
        case(
            "negative mode",
            block(b'0', "a", 0, &[(MODE, negative)]),
            "reg a 512+0 mode=1777777777777777777776; 512",
        ),
    ]
}

/// Section 2.2: one header block with edits each.
fn headers() -> Vec<Case> {
    type Edits<'a> = &'a [(usize, &'a [u8])];
    let prefix = (PREFIX, &b"pre"[..]);
    let wide = [b'p'; 155];
    let name = [b'n'; 100];
    let rows: &[(&'static str, Edits<'_>, &str)] = &[
        ("USTAR prefix", &[prefix], "reg pre/a 512+0; 512"),
        ("USTAR version does not matter", &[prefix, (263, b"xy")], "reg pre/a 512+0; 512"),
        ("V7 has no prefix", &[prefix, V7], "reg a 512+0; 512"),
        ("GNU with another version is V7", &[GNU, prefix, (263, b" x")], "reg a 512+0; 512"),
        ("GNU with a prefix for times", &[GNU, prefix], "reg pre/a 512+0; 512"),
        ("GNU times", &[GNU, (PREFIX, b"00000000001\x0000000000002\0")], "reg a 512+0; 512"),
        ("GNU prefix not ASCII", &[GNU, (PREFIX, b"pr\xc3\xa9")], "reg a 512+0; 512"),
        ("GNU ctime broken, prefix empty", &[GNU, (357, b"x")], "reg a 512+0; 512"),
        ("STAR atime", &[STAR, (476, b"x")], "malformed @0 a Number { field: \"atime\" }"),
        ("STAR ctime", &[STAR, (488, b"8")], "malformed @0 a Number { field: \"ctime\" }"),
        ("device of a file", &[(DEVMAJOR, b"x")], "malformed @0 a Number { field: \"devmajor\" }"),
        ("device in V7", &[(DEVMAJOR, b"x"), V7], "reg a 512+0; 512"),
        ("octal with spaces", &[(UID, b" 12 \0\0\0 ")], "reg a 512+0 uid=10; 512"),
        ("octal with more", &[(SIZE, b"12 3")], "malformed @0 a Number { field: \"size\" }"),
        ("base-256", &[(MTIME, &[0xff; 12])], "reg a 512+0 time=-1.000000000; 512"),
        (
            "base-256 overflow",
            &[(MTIME, &[0x81; 12])],
            "malformed @0 a Number { field: \"mtime\" }",
        ),
    ];
    let row = |(about, edits, expected): &(&'static str, Edits<'_>, &str)| {
        case(about, block(b'0', "a", 0, edits), *expected)
    };
    let mut broken = file("a", b"");
    broken[0] ^= 1;
    let full = format!("reg {}/{} 512+0; 512", "p".repeat(155), "n".repeat(100));
    let star = format!("reg {}/a 512+0; 512", "p".repeat(131));
    let mut cases: Vec<_> = rows.iter().map(row).collect();
    cases.extend([
        case("checksum", broken, "malformed @0  Checksum"),
        case("full fields", block(b'0', "", 0, &[(0, &name), (PREFIX, &wide)]), full),
        case("STAR", block(b'0', "a", 0, &[(PREFIX, &wide[..131]), (476, b"1 "), STAR]), star),
    ]);
    cases
}

/// Section 2.3.
fn metas() -> Vec<Case> {
    let a = || file("a", b"");
    let long = "l/".repeat(100);
    let all = pax(&["path=p", "linkpath=l", "uname=u", "gname=g", "mtime=1.5", "size=3"]);
    let comment = record("comment", "123456789");
    let twice = pax(&["uname=1", "uname=2", "b=1", "a=", "gname=", "b="]);
    let named = block(b'0', "a", 0, &[(297, b"grp")]);
    let xattr = "SCHILY.xattr.user.a=\0=\n\u{e9}";
    let overridden = [meta(b'L', "ll\0rest"), pax(&["path=p"]), meta(b'K', "kk"), a()];
    vec![
        case(
            "records replace fields",
            [all, file("a", b"12")].concat(),
            "reg p 1536+3 ->l uname=u gname=g time=1.500000000 {gname=g} {linkpath=l} {mtime=1.5} \
             {path=p} {size=3} {uname=u}; 2048",
        ),
        case(
            "the second x replaces the first",
            [pax(&["uname=u", "comment=c"]), pax(&["gname=g"]), a()].concat(),
            "reg a 2560+0 gname=g {gname=g}; 2560",
        ),
        case(
            "records are for one entry",
            [pax(&["uname=u"]), a(), file("b", b"")].concat(),
            "reg a 1536+0 uname=u {uname=u}; reg b 2048+0; 2048",
        ),
        case("x without records", [meta(b'x', ""), a()].concat(), "reg a 1024+0; 1024"),
        case(
            "repeated keys and empty values",
            [twice, named].concat(),
            "reg a 1536+0 uname=2 gname=grp {a=} {b=} {gname=} {uname=2}; 1536",
        ),
        case(
            "values of any bytes",
            [pax(&[xattr]), a()].concat(),
            "reg a 1536+0 {SCHILY.xattr.user.a=\\x00=\\n\\xc3\\xa9}; 1536",
        ),
        case("L and K win", overridden.concat(), "reg ll 3584+0 ->kk {path=p}; 3584"),
        case(
            "an empty L takes the one before back",
            [meta(b'L', "ll"), meta(b'L', ""), a()].concat(),
            "reg a 2048+0; 2048",
        ),
        case(
            "L without NUL",
            [meta(b'L', &long), a()].concat(),
            format!("reg {long} 1536+0; 1536"),
        ),
        case("metas at the end", [pax(&["path=p"]), meta(b'L', "l")].concat(), "2048"),
        case("no padding", [block(b'x', "", 21, &[]), comment.into_bytes()].concat(), "533"),
        case(
            "a malformed g",
            [meta(b'g', "8 c=12\n"), a()].concat(),
            "malformed @0 meta PaxRecord",
        ),
        case("g", [meta(b'g', "6 c=1\n"), a()].concat(), "unsupported @0 meta GlobalHeader"),
        case("no record", meta(b'x', "5 a=b\n"), "malformed @0 meta PaxRecord"),
        case("NUL in path", meta(b'x', record("path", "a\0b")), "malformed @0 meta PaxRecord"),
        case(
            "no number",
            [pax(&["uid=0x1"]), a()].concat(),
            "malformed @1024 a PaxValue { key: \"uid\" }",
        ),
        case(
            "no time, though not used",
            [pax(&["path=p", "ctime=1.x"]), a()].concat(),
            "malformed @1024 p PaxValue { key: \"ctime\" }",
        ),
        case(
            "too long",
            meta(b'x', [b'x'; MAX_META_SIZE + 1]),
            "malformed @0 meta MetaTooLong(1048577)",
        ),
        case(
            "longest",
            [meta(b'L', [b'l'; MAX_META_SIZE]), a()].concat()[..1024].to_vec(),
            "malformed @0 meta Truncated(\"an extended header\")",
        ),
        case(
            "negative size",
            block(b'x', "m", 0, &[(SIZE, &[0xff; 12])]),
            "malformed @0 m NegativeSize(-1)",
        ),
    ]
}

/// Section 2.4.
fn types() -> Vec<Case> {
    let sized = |flag, name| block(flag, name, 1000, &[(LINK, b"a")]);
    let links = [sized(b'1', "h"), sized(b'2', "l"), sized(b'3', "c")];
    let others = [sized(b'4', "b"), sized(b'5', "d"), sized(b'6', "f")];
    let renamed = [pax(&["path=f"]), block(0, "d/", 0, &[])];
    let minus = |flag, name| block(flag, name, 0, &[(SIZE, &[0xff; 12])]);
    let mut cases = vec![
        case(
            "types without data",
            [file("a", b""), links.concat(), others.concat()].concat(),
            "reg a 512+0; hardlink h 1024+0 ->a; symlink l 1536+0 ->a; char c 2048+0 ->a; \
             block b 2560+0 ->a; dir d 3072+0 ->a; fifo f 3584+0 ->a; 3584",
        ),
        case(
            "a slash makes directories of the NUL type only",
            [block(0, "a", 0, &[]), block(0, "d/", 99, &[]), file("e/", b"")].concat(),
            "reg a 512+0; dir d/ 1024+0; reg e/ 1536+0; 1536",
        ),
        case(
            "the final name decides",
            [meta(b'L', "l/"), block(0, "a", 0, &[]), renamed.concat()].concat(),
            "dir l/ 1536+0; reg f 3072+0 {path=f}; 3072",
        ),
        case("negative size", minus(b'0', "a"), "malformed @0 a NegativeSize(-1)"),
        case("negative size of NUL type", minus(0, "d/"), "malformed @0 d/ NegativeSize(-1)"),
        case("negative size of another type", minus(b'7', "a"), "malformed @0 a NegativeSize(-1)"),
        case(
            "a record cannot mend the size",
            [pax(&["size=0"]), minus(b'0', "a")].concat(),
            "malformed @1024 a NegativeSize(-1)",
        ),
        case(
            "negative size by a record",
            [pax(&["size=-5"]), file("a", b"")].concat(),
            "malformed @1024 a NegativeSize(-5)",
        ),
        case(
            "negative size without data",
            [minus(b'5', "d"), pax(&["size=-5"]), block(0, "e/", 0, &[])].concat(),
            "dir d 512+0; dir e/ 2048+0 {size=-5}; 2048",
        ),
    ];
    cases.extend(b"7VDMNXAz8".iter().map(|flag| {
        let tar = [meta(b'L', "n"), block(*flag, "a", 0, &[])].concat();
        case("no SOCI type", tar, format!("unsupported @1024 n EntryType({flag})"))
    }));
    cases
}

/// Section 2.4, last rows. Only validity shows, as none is supported.
fn sparse_files() -> Vec<Case> {
    let (v1, size) = (["GNU.sparse.major=1", "GNU.sparse.minor=0"], "GNU.sparse.size=9");
    let in_data = |map: &str| [pax(&[v1[0], v1[1], size]), file("a", map.as_bytes())].concat();
    let in_records = |more: &[&str]| [pax(more), file("a", b"")].concat();
    let map = |map| in_records(&[size, "GNU.sparse.numblocks=2", map]);
    let zeros = "0".repeat(1500);
    let extended = |edits: &[(usize, &[u8])]| {
        let part = edits.iter().fold([0; 512], |mut part, (offset, bytes)| {
            part[*offset..][..bytes.len()].copy_from_slice(bytes);
            part
        });
        [&old_sparse(&[(OLD_MAP + 96, b"\x01")])[..512], &part].concat()
    };
    let v00 = ["GNU.sparse.realsize=9", "GNU.sparse.offset=0", "GNU.sparse.numbytes=5"];
    let good = [
        ("0.0", in_records(&[v00[0], "GNU.sparse.numblocks=1", v00[1], v00[2]])),
        ("0.1", map("GNU.sparse.map=0,5,5,4")),
        (
            "no map",
            in_records(&["GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.numblocks=0"]),
        ),
        ("1.0", in_data(&format!("2\n0\n1\n3\n4\n{}", " ".repeat(502)))),
        ("1.0 in three blocks", in_data(&format!("{zeros}1\n0\n9\n{}", " ".repeat(60)))),
    ];
    let bad = [
        ("0.1 without count", in_records(&["GNU.sparse.map=0,5"])),
        ("0.1 with another count", map("GNU.sparse.map=0,5")),
        ("0.1 with overlap", map("GNU.sparse.map=0,5,4,1")),
        ("0.1 beyond the size", map("GNU.sparse.map=0,5,5,5")),
        ("0.1 with half a fragment", map("GNU.sparse.map=0,5,5")),
        ("0.1 overflow", map("GNU.sparse.map=0,5,5,9223372036854775807")),
        ("1.0 in less than a block", in_data("1\n0\n5\n")[..1536].to_vec()),
        ("1.0 cut by the size", in_data(&zeros)),
        ("1.0 without number", in_data(&format!("1\n0\nx\n{zeros}"))),
        ("a directory", [pax(&[v1[0], v1[1]]), block(b'5', "a", 0, &[])].concat()),
    ];
    let old_good = [
        ("old", old_sparse(&[])),
        ("old, extended", extended(&[(0, b"6"), (12, b"0")])),
        ("old, extended twice", [extended(&[(504, b"1")]), vec![0; 512]].concat()),
    ];
    let old_bad = [
        ("old, not GNU", old_sparse(&[(257, b"ustar\x0000")])),
        ("old, beyond the size", old_sparse(&[(REAL_SIZE, b"4")])),
        ("old, no size", old_sparse(&[(REAL_SIZE, b"x")])),
        ("old, overlap", extended(&[(0, b"5"), (12, b"1")])),
        (
            "old, endless",
            [extended(&[(504, b"1")]), [&[0; 504][..], &[1; 8]].concat().repeat(2048)].concat(),
        ),
    ];
    let cut = extended(&[(504, b"1")]);
    let unknown = ["GNU.sparse.major=2", "GNU.sparse.minor=0", "GNU.sparse.map=x"];
    let mut cases = vec![
        case("old, cut", cut, "malformed @0 a Truncated(\"a sparse file map\")"),
        case(
            "an unknown version is no sparse file",
            in_records(&unknown),
            "reg a 1536+0 {GNU.sparse.major=2} {GNU.sparse.map=x} {GNU.sparse.minor=0}; 1536",
        ),
    ];
    for (rows, expected) in [
        (&good[..], "unsupported @1024 a PaxSparse"),
        (&bad, "malformed @1024 a SparseMap"),
        (&old_good, "unsupported @0 a OldGnuSparse"),
        (&old_bad, "malformed @0 a SparseMap"),
    ] {
        cases.extend(rows.iter().map(|(about, tar)| case(about, &tar[..], expected)));
    }
    cases
}

/// Section 2.5.
fn times() -> Vec<Case> {
    let rows = [
        ("1.123456789123", Some("1.123456789")),
        ("-1.5", Some("-2.500000000")),
        ("-62167219200", Some("-62167219200.000000000")),
        ("-62167219200.5", None),
        ("253402300799.9", Some("253402300799.900000000")),
        ("253402300800", None),
    ];
    let row = |(text, expected): (&str, Option<&str>)| {
        let tar = [pax(&[&format!("mtime={text}")]), file("a", b"")].concat();
        let seconds = if text.starts_with('-') { -62_167_219_201i64 } else { 253_402_300_800 };
        let expected = expected.map_or_else(
            || format!("unsupported @1024 a ModTimeYear({seconds})"),
            |time| format!("reg a 1536+0 time={time} {{mtime={text}}}; 1536"),
        );
        case("time", tar, expected)
    };
    rows.into_iter().map(row).collect()
}

/// Section 2.6.
fn ends() -> Vec<Case> {
    let a = || file("a", b"12345");
    let with = |end: &[u8]| [&a()[..], end].concat();
    let huge = |last: &[u8]| block(b'0', "a", 0, &[(SIZE, &[b"\x80\0\0\0\x7f", last].concat())]);
    let ok = "reg a 512+5; ";
    let marker = "malformed @1024  Truncated(\"the end of archive marker\")";
    let data = "malformed @0 a Truncated(\"the data of a file\")";
    vec![
        case("two blocks", with(END), format!("{ok}2048")),
        case("two blocks and padding", with(&[0; 10240]), format!("{ok}2048")),
        case("two blocks and garbage", with(&[END, b"x"].concat()), format!("{ok}2048")),
        case("two blocks and an entry", with(&[END, &a()].concat()), format!("{ok}2048")),
        case("one block", with(&[0; 512]), format!("{ok}1536")),
        case("one block and a piece", with(&[0; 513]), marker),
        case(
            "a lone block",
            with(&[&[0; 512], &a()[..]].concat()),
            "malformed @1024  LoneZeroBlock",
        ),
        case("no block", a(), format!("{ok}1024")),
        case("short padding", &a()[..600], format!("{ok}600")),
        case("no padding", &a()[..517], format!("{ok}517")),
        case("cut data", &a()[..516], data),
        case("no data", &a()[..512], data),
        case("cut header", with(&[b'x'; 511]), "malformed @1024  Truncated(\"a header\")"),
        case("nothing", b"", "0"),
        case("one block only", [0; 512], "512"),
        case("two blocks only", END, "1024"),
        case("largest size", [huge(&[0xff; 7]), a()].concat(), data),
        case(
            "size near the largest",
            [huge(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0]), a()].concat(),
            data,
        ),
    ]
}

/// Section 7.3: targets of hard links as `metadata/reader.go` resolves them; the last one exists or not.
fn links() -> Vec<(&'static str, Bytes, bool)> {
    let dir = |name| block(b'5', name, 0, &[]);
    let file = |name| block(b'0', name, 0, &[]);
    let link = |name, target: &str| block(b'1', name, 0, &[(LINK, target.as_bytes())]);
    let replaced = [file("d/t"), link("a", "d/t"), file("d"), link("b", "d/t")];
    vec![
        ("a file", [file("a"), link("b", "a")].concat(), true),
        ("another spelling", [file("./d/a"), link("b", "/d/x/..//a/")].concat(), true),
        ("a name with dots", [file("x/../d/./a"), link("b", "d/a")].concat(), true),
        ("a name from above", [file("../a"), link("b", "../../a")].concat(), true),
        ("a name that ends in dots", [file("a/b/.."), link("c", "a")].concat(), true),
        ("the root", [link("b", ""), link("c", "b/b"), link("d", "..")].concat(), true),
        ("no entry of its own", [file("d/e/a"), link("b", "d/e"), link("c", "d")].concat(), true),
        ("through a link", [file("d/a"), link("l", "d"), link("b", "l/a")].concat(), true),
        ("into a link", [dir("d"), link("l", "d"), file("l/a"), link("b", "d/a")].concat(), true),
        ("a directory twice", [file("d/a"), dir("d/"), link("b", "d/a")].concat(), true),
        (
            "a file made directory",
            [file("d"), file("d/a"), dir("d"), link("b", "d/a")].concat(),
            true,
        ),
        ("a chain", [file("d/a"), link("d/b", "d/a"), link("d/c", "d/b")].concat(), true),
        ("nowhere", [file("a"), link("b", "t")].concat(), false),
        ("later", [link("b", "t"), file("t")].concat(), false),
        ("itself", link("t", "t"), false),
        ("its own directory", link("t/b", "t"), false),
        ("below a file", [file("a"), link("b", "a/t")].concat(), false),
        ("a directory replaced by a file", replaced.concat(), false),
    ]
}

#[test]
fn archives() {
    let differs = |(about, tar, expected): Case| {
        let outcome = outcome(&tar);
        (outcome != expected).then(|| format!("{about}: {outcome}, expected {expected}"))
    };
    let wrong: Vec<_> = cases().into_iter().filter_map(differs).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hard_links() {
    for (about, tar, exists) in links() {
        let outcome = outcome(&tar);
        assert_eq!(!outcome.contains("DanglingHardLink"), exists, "{about}: {outcome}");
    }
}

#[test]
fn skippable_bytes_do_not_matter() {
    let tar = [file("a", &[b'x'; 600]), pax(&["uname=u"]), file("b", b"y"), END.to_vec()].concat();
    let mut walker = TarWalker::new();
    let mut at = 0;
    let mut skipped = Vec::new();
    while !walker.at_end() {
        let skip = walker.skippable() as usize;
        let taken = if skip > 0 { vec![0xee; skip] } else { tar[at..=at].to_vec() };
        skipped.extend((skip > 0).then_some(skip));
        walker.feed(&taken).expect("sound");
        at += taken.len();
    }
    assert_eq!(skipped, [1024, 512 - record("uname", "u").len(), 512]);
    assert_eq!(walker.skippable(), u64::MAX);
    walker.feed(b"whatever follows").expect("ignored");
    assert_eq!(walker.finish().map(|summary| summary.archive_size), Ok(tar.len() as u64));
}
