//! The options of `soci-layout index`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use soci_layout::{
    DEFAULT_BUILD_TOOL_IDENTIFIER, DEFAULT_MIN_SAVING, Error, IndexVersion, LayerChoice,
    LayerTypes, Options, V1Shape, V2Platform,
};

use super::prefetch::PrefetchArgs;
use super::value::{Choice, choice};
use super::{
    CONTENT, CacheDir, DIGESTS_OR_JSON, DisplayArgs, Gates, ImageFilterArgs, LAYERS, OUTPUT, RUN,
    exit, jobs, size,
};

const EXAMPLES: &str = "\
Examples:
  Index what buildx exported, all images and platforms:
    docker buildx build --output type=oci,tar=false,dest=DIR,name=app:1 .
    soci-layout index DIR

  Then push it with any tool that carries the whole index:
    docker buildx imagetools create --prefer-index=false -t REGISTRY/app:1 oci-layout://DIR:1

  Index every layer of one platform, for readers of V1 and V2 indexes:
    soci-layout index --platform linux/arm64 --min-layer-size 0 --index-version both DIR

  Index while a build writes its archive, or index an archive that is there:
    docker buildx build --output type=oci,dest=- . | soci-layout index - --output DIR
    soci-layout index image.tar --output indexed.tar

  Index an image of a registry, which then has a second tag:
    soci-layout index REGISTRY/app:1 --to REGISTRY/app:1-soci

  Use the new digest in a script, the reasons for skipped layers in another:
    digest=$(soci-layout index --quiet DIR)
    soci-layout index --json DIR | jq -r '.layers[] | select(.outcome == \"skipped\").reason'";

/// Index the images of a layout directory in place, of an archive, or of a registry
///
/// Makes a zTOC for each layer that is large enough and a SOCI index for each image, and binds them
/// to the image, so that any tool that pushes the whole image index carries them along. The layers
/// themselves stay as they are. A second run finds its own zTOCs and changes nothing.
///
/// New blobs are written first, index.json is replaced at the very end and in one step: whatever
/// happens, the layout is either as before or complete.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = "See --help for more about each option, exit codes and examples.",
          after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
          mut_arg("json", |json| json.long_help(DIGESTS_OR_JSON)))]
pub(crate) struct IndexArgs {
    #[cfg_attr(
        feature = "registry",
        doc = "OCI image layout directory, archive of one (- is standard input), or an image in a registry"
    )]
    #[cfg_attr(
        not(feature = "registry"),
        doc = "OCI image layout directory, or archive of one (- is standard input)"
    )]
    ///
    /// A directory, with `oci-layout`, `index.json` and `blobs/`, is edited in place. An archive (tar, also
    /// compressed with gzip or zstd) is unpacked and its layers are indexed while it is read; the result
    /// goes to --output.
    #[cfg_attr(
        feature = "registry",
        doc = "
An image in a registry (HOST/REPO:TAG, where there is no such path) is indexed where it is: its layers are read
from there and never stored; zTOCs, SOCI indexes and manifests are written to its repository, and --to says which
tag leads to them."
    )]
    #[cfg_attr(not(feature = "registry"), arg(value_name = "LAYOUT|ARCHIVE|-"))]
    #[cfg_attr(
        feature = "registry",
        arg(
            value_name = "LAYOUT|ARCHIVE|-|REPO:TAG",
            required = false,
            required_unless_present = "from_file",
            default_value_if("from_file", clap::builder::ArgPredicate::IsPresent, "-")
        )
    )]
    pub(crate) layout: PathBuf,

    #[command(flatten)]
    pub(crate) images: ImageFilterArgs,

    /// Leave layers alone whose compressed size is smaller
    ///
    /// Small layers are fetched faster whole. 0 indexes every layer. Plain bytes, or a unit: K, M, G
    /// or KiB, MiB, GiB (powers of 1024), kB, MB, GB (powers of 1000).
    #[arg(long, value_name = "SIZE", help_heading = LAYERS, default_value = "10MiB", value_parser = size::parse)]
    pub(crate) min_layer_size: u64,

    /// Leave layers alone of which being lazy saves less than this share, in percent
    ///
    /// What is saved is the layer's size less its zTOC, which is fetched first, and less its largest span, which
    /// is fetched to read one file. 0 takes any zTOC, whatever it costs. Layers with less than 10 MiB of
    /// uncompressed content are not judged.
    #[arg(long, value_name = "PERCENT", help_heading = LAYERS, default_value_t = DEFAULT_MIN_SAVING,
          value_parser = clap::value_parser!(u8).range(0..=99))]
    pub(crate) min_saving: u8,

    /// Leave this layer alone, by number or digest; may be repeated
    ///
    /// The lowest layer of an image has number 1, which counts in every selected image; of a digest (sha256:...)
    /// the first digits are enough. A layer that no image has is an error.
    #[arg(long = "skip-layer", value_name = "LAYER", help_heading = LAYERS)]
    pub(crate) skip_layers: Vec<LayerChoice>,

    /// SOCI index version
    #[arg(long, value_name = "VERSION", help_heading = CONTENT, default_value = "v2", value_parser = choice(&INDEX_VERSIONS))]
    pub(crate) index_version: IndexVersion,

    /// Where a V1 index is put (with --index-version v1 or both)
    #[arg(long, value_name = "SHAPE", help_heading = CONTENT, default_value = "nested", value_parser = choice(&V1_SHAPES))]
    pub(crate) v1_shape: V1Shape,

    /// The platform that a V2 index has in the image index (with --index-version v2 or both)
    #[arg(long, value_name = "PLATFORM", help_heading = CONTENT, default_value = "image", value_parser = choice(&V2_PLATFORMS))]
    pub(crate) v2_platform: V2Platform,

    /// Keep Docker's layer types where a manifest becomes an OCI manifest
    ///
    /// A V2 index makes an OCI manifest of an image. All its media types become those of OCI then; blobs and their
    /// digests stay. With this option layers keep Docker's types, as the reference leaves them: some tools fail
    /// on such a mixture.
    #[arg(long, help_heading = CONTENT)]
    pub(crate) keep_layer_types: bool,

    /// Name an unnamed image
    ///
    /// Sets the annotation org.opencontainers.image.ref.name of the selected entry of index.json, by
    /// which push tools find it.
    #[arg(long, value_name = "NAME", help_heading = CONTENT, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Option<String>,

    /// Uncompressed bytes between the points where decompression can begin
    ///
    /// Smaller spans make a runtime fetch less around a file and zTOCs larger. From 1 byte to 2^63-1.
    #[arg(long, value_name = "SIZE", help_heading = CONTENT, default_value = "4MiB", value_parser = size::parse_positive)]
    pub(crate) span_size: u64,

    /// Turn on an optimization; may be repeated
    #[arg(long = "optimization", value_name = "NAME", help_heading = CONTENT)]
    pub(crate) optimizations: Vec<Optimization>,

    /// Text stored in each zTOC and SOCI index
    ///
    /// It is part of their bytes: equal digests need the equal text.
    #[arg(long, value_name = "TEXT", help_heading = CONTENT, default_value = DEFAULT_BUILD_TOOL_IDENTIFIER)]
    pub(crate) build_tool_identifier: String,

    #[command(flatten)]
    pub(crate) prefetch: PrefetchArgs,

    /// Remove the blobs that only the replaced manifests referred to
    #[arg(long, help_heading = RUN)]
    pub(crate) prune: bool,

    /// Remove blobs also from a directory outside of the layout
    ///
    /// Where `blobs` or `blobs/sha256` is a link to such a directory, other layouts may use the blobs in it;
    /// what only they refer to is removed as well.
    #[arg(long, help_heading = RUN, requires = "prune")]
    pub(crate) external_blobs: bool,

    /// Fail when a layer cannot be indexed, instead of skipping it
    #[arg(long, help_heading = RUN)]
    pub(crate) strict: bool,

    /// Index layers in spite of this; may be repeated
    ///
    /// Such layers are left without a zTOC otherwise, with the reason. unlike-unpacked: the reference's
    /// reader shows other owners, modes, attributes or names than unpacking the layer gives (a directory
    /// listed twice, a hard link with attributes of its own, and the like).
    #[arg(long, value_name = "CAUSE", help_heading = CONTENT)]
    pub(crate) accept: Vec<Accept>,

    /// Reuse existing zTOCs without re-reading their layers
    ///
    /// Makes a second run a matter of milliseconds. What it skips: the layer's digest is not computed
    /// again (a blob that was damaged meanwhile goes unnoticed), the zTOC's first and last span are not
    /// compared with it, and the zTOC is taken by its structure, without its digest being computed. Layers without a zTOC are read and checked as ever, except those that a registry's SOCI index with these settings leaves eager. With --cache-dir,
    /// zTOCs from there are taken without reading their layers too; those are always checked against their own digest.
    #[arg(long, help_heading = RUN)]
    pub(crate) trust_blobs: bool,

    #[command(flatten)]
    pub(crate) cache: CacheDir,

    /// Take zTOCs from the SOCI indexes of this image in a registry; may be repeated
    ///
    /// HOST/REPO:TAG, with the credentials of docker login. A layer that has a zTOC there for these settings is not scanned; the
    /// zTOC is checked as one from --cache-dir is, and whoever can push there is trusted as far. A registry that cannot be
    /// reached, or has no such image, is a warning.
    #[cfg(feature = "registry")]
    #[arg(long, value_name = "REPO:TAG", help_heading = RUN)]
    pub(crate) cache_from: Vec<soci_layout::registry::Reference>,

    #[cfg(feature = "registry")]
    #[command(flatten)]
    pub(crate) list: super::registry::ListArgs,

    #[cfg(feature = "registry")]
    #[command(flatten)]
    pub(crate) registry: super::registry::RegistryArgs,

    /// Exit with code 3 when nothing was indexed
    #[arg(long, help_heading = RUN)]
    pub(crate) require_index: bool,

    #[command(flatten)]
    pub(crate) gates: Gates,

    /// Say what would be done, write nothing
    #[arg(long, help_heading = RUN)]
    pub(crate) dry_run: bool,

    /// Layers scanned at a time [default: one per processor]
    ///
    /// The result does not depend on it.
    #[arg(long, short, value_name = "N", help_heading = RUN, value_parser = jobs)]
    pub(crate) jobs: Option<NonZeroUsize>,

    /// The tag that leads to the indexed image of a registry
    ///
    /// In the same repository, or in another one (HOST/REPO:TAG), which gets the layers, too; REPO:TAG once more
    /// replaces the image itself. Without it no tag is set: the digest that is printed leads to it.
    #[cfg(feature = "registry")]
    #[arg(long, value_name = "REPO:TAG", help_heading = OUTPUT)]
    pub(crate) to: Option<soci_layout::registry::Reference>,

    /// Where an archive's result goes: a new directory, x.tar, or - [default: ARCHIVE without its ending]
    ///
    /// It is built beside its place (for - in the directory for temporary files) and comes there in one
    /// step at the end. With - the archive is written to standard output, and no digest.
    #[arg(long, short, value_name = "PATH", help_heading = OUTPUT)]
    pub(crate) output: Option<PathBuf>,

    /// Overwrite an existing --output
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) display: DisplayArgs,

    /// Append a summary for people to a file, as Markdown
    ///
    /// What loads lazily, what does not, why, and what changes that. For the page of a job on GitHub the file is
    /// `$GITHUB_STEP_SUMMARY`.
    #[arg(long, value_name = "markdown=FILE", help_heading = OUTPUT, value_parser = summary)]
    pub(crate) summary: Option<PathBuf>,

    /// Show details of each step
    #[arg(long, short, help_heading = OUTPUT, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

pub(super) const INDEX_VERSIONS: [Choice<IndexVersion>; 3] = [
    (
        "v2",
        "Found through an annotation of the image manifest, which gets a new digest",
        IndexVersion::V2,
    ),
    ("v1", "Found through referrers; image manifests keep their digests", IndexVersion::V1),
    ("both", "V2, and V1 for readers that do not know V2", IndexVersion::Both),
];

const V1_SHAPES: [Choice<V1Shape>; 2] = [
    (
        "nested",
        "In the image index: one push carries everything; the image index gets a new digest",
        V1Shape::Nested,
    ),
    (
        "tagged",
        "In a list of its own named sha256-HEX: no digest changes, one more push",
        V1Shape::Tagged,
    ),
];

const V2_PLATFORMS: [Choice<V2Platform>; 2] = [
    (
        "image",
        "That of its image, as the reference writes it: clients that pull the image fetch the zTOCs too",
        V2Platform::Image,
    ),
    (
        "unknown",
        "unknown/unknown: only the snapshotter fetches them, and no tool takes the index for the image",
        V2Platform::Unknown,
    ),
];

/// Optimizations of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Optimization {
    /// Mark layers without extended attributes, for which the reader need not look them up
    Xattr,
}

/// Causes for which a layer is left without a zTOC unless they are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accept {
    /// A lazy mount would show something else than unpacking gives
    UnlikeUnpacked,
}

impl IndexArgs {
    /// The library's settings, with what stands in files.
    pub(crate) fn options(&self) -> Result<Options, Error> {
        let mut options = Options::default();
        options.index_version = self.index_version;
        options.v1_shape = self.v1_shape;
        options.v2_platform = self.v2_platform;
        options.layer_types =
            if self.keep_layer_types { LayerTypes::Keep } else { LayerTypes::Oci };
        options.name.clone_from(&self.name);
        options.images = self.images.filter();
        options.span_size = self.span_size;
        options.min_layer_size = self.min_layer_size;
        options.min_saving = self.min_saving;
        options.skip_layers.clone_from(&self.skip_layers);
        options.xattr_optimization = self.optimizations.contains(&Optimization::Xattr);
        options.build_tool_identifier.clone_from(&self.build_tool_identifier);
        options.prefetch = self.prefetch.files()?;
        options.link = self.prefetch.link;
        options.prune = self.prune;
        options.external_blobs = self.external_blobs;
        options.strict = self.strict;
        options.accept_unlike_unpacked = self.accept.contains(&Accept::UnlikeUnpacked);
        options.trust_blobs = self.trust_blobs;
        options.cache_dir = self.cache.path();
        #[cfg(feature = "registry")]
        {
            options.cache_from.clone_from(&self.cache_from);
            options.registry = self.registry.options();
        }
        options.dry_run = self.dry_run;
        options.jobs = self.jobs;
        Ok(options)
    }
}

/// `markdown=FILE`: the one form there is, named so that there can be others.
fn summary(text: &str) -> Result<PathBuf, String> {
    match text.split_once('=') {
        Some(("markdown", path)) if !path.is_empty() => Ok(path.into()),
        _ => Err("expected markdown=FILE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser as _, error::ErrorKind};
    use soci_layout::ImageFilter;

    use std::time::Duration;

    use soci_layout::{Link, PrefetchFiles, PrefetchLimit};

    use super::super::{Cli, Command};
    use super::*;

    fn index(arguments: &str) -> Result<IndexArgs, clap::Error> {
        let arguments = ["soci-layout", "index"].into_iter().chain(arguments.split_whitespace());
        Cli::try_parse_from(arguments).map(|cli| match cli.command {
            Command::Index(args) => args,
            other => unreachable!("it begins with index: {other:?}"),
        })
    }

    #[test]
    fn defaults_are_the_library_s() {
        let options = index("DIR").expect("valid").options().expect("no files");
        assert_eq!(format!("{options:?}"), format!("{:?}", Options::default()));
    }

    #[test]
    fn everything_reaches_the_library() {
        let arguments = "DIR --index-version both --v1-shape tagged --v2-platform unknown --keep-layer-types --name n --ref a --ref b -j 3 \
             --platform linux/amd64,linux/arm64 --platform linux/arm/v7 --span-size 1M --min-layer-size 0 --min-saving 25 \
             --skip-layer 2 --skip-layer sha256:ab \
             --optimization xattr --optimization xattr --build-tool-identifier me --prefetch-file /a,b --prefetch-file c* --prefetch-max-time 2s --link 1MB,10ms --prune --strict --trust-blobs --cache-dir C --dry-run";
        #[cfg(not(feature = "registry"))]
        let args = index(arguments);
        #[cfg(feature = "registry")]
        let args = index(&format!(
            "{arguments} --cache-from r.example/a:b --cache-from localhost:1/c --plain-http --ca-file F"
        ));
        let mut expected = Options::default();
        expected.index_version = IndexVersion::Both;
        expected.v1_shape = V1Shape::Tagged;
        expected.v2_platform = V2Platform::Unknown;
        #[cfg(feature = "registry")]
        {
            expected.cache_from = ["r.example/a:b", "localhost:1/c"]
                .map(|reference| reference.parse().expect("a reference"))
                .into();
            expected.registry = soci_layout::registry::RegistryOptions {
                plain_http: true,
                ca_file: Some("F".into()),
            };
        }
        expected.layer_types = LayerTypes::Keep;
        expected.name = Some("n".into());
        expected.images = ImageFilter {
            refs: vec!["a".into(), "b".into()],
            platforms: ["linux/amd64", "linux/arm64", "linux/arm/v7"]
                .map(|platform| platform.parse().expect("a platform"))
                .into(),
        };
        expected.span_size = 1 << 20;
        expected.min_layer_size = 0;
        expected.min_saving = 25;
        expected.skip_layers =
            vec![LayerChoice::Number(2), LayerChoice::Digest("sha256:ab".into())];
        expected.xattr_optimization = true;
        expected.build_tool_identifier = "me".into();
        expected.prefetch = PrefetchFiles {
            files: vec!["/a,b".into(), "c*".into()],
            traced: Vec::new(),
            ranges: Vec::new(),
            limit: Some(PrefetchLimit {
                time: Duration::from_secs(2),
                link: Link {
                    bandwidth: 1_000_000,
                    each: false,
                    latency: Duration::from_millis(10),
                    connections: Link::DEFAULT_CONNECTIONS,
                },
            }),
        };
        expected.link = expected.prefetch.limit.map(|limit| limit.link);
        expected.prune = true;
        expected.strict = true;
        expected.accept_unlike_unpacked = false;
        expected.trust_blobs = true;
        expected.cache_dir = Some("C".into());
        expected.external_blobs = false;
        expected.dry_run = true;
        expected.jobs = NonZeroUsize::new(3);
        let options = args.expect("valid").options().expect("no files");
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
    }

    #[test]
    fn usage_errors() {
        for (arguments, kind) in [
            ("", ErrorKind::MissingRequiredArgument),
            ("A B", ErrorKind::UnknownArgument),
            ("DIR -q -v", ErrorKind::ArgumentConflict),
            ("DIR --jobs 0", ErrorKind::ValueValidation),
            ("DIR --jobs 1025", ErrorKind::ValueValidation),
            ("DIR --span-size 0", ErrorKind::ValueValidation),
            ("DIR --span-size 1.5", ErrorKind::ValueValidation),
            ("DIR --min-layer-size -1", ErrorKind::UnknownArgument),
            ("DIR --min-saving 100", ErrorKind::ValueValidation),
            ("DIR --skip-layer 0", ErrorKind::ValueValidation),
            ("DIR --skip-layer sha256:", ErrorKind::ValueValidation),
            ("DIR --min-lazy 101%", ErrorKind::ValueValidation),
            ("DIR --max-eager lots", ErrorKind::ValueValidation),
            ("DIR --platform linux", ErrorKind::ValueValidation),
            ("DIR --prefetch-max-time 1s", ErrorKind::MissingRequiredArgument),
            ("DIR --platform linux/amd64,", ErrorKind::ValueValidation),
            ("DIR --name=", ErrorKind::InvalidValue),
            ("DIR --optimization all", ErrorKind::InvalidValue),
            ("DIR --progress json", ErrorKind::InvalidValue),
            ("DIR --summary FILE", ErrorKind::ValueValidation),
            ("DIR --summary markdown=", ErrorKind::ValueValidation),
            ("DIR --index-version 2", ErrorKind::InvalidValue),
            ("DIR --jsn", ErrorKind::UnknownArgument),
        ] {
            assert_eq!(index(arguments).expect_err(arguments).kind(), kind, "{arguments}");
        }
    }
}
