//! SOCI index versions and the shapes in which a layout holds them.

/// Which SOCI index versions an image gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexVersion {
    /// V1: found through `subject` (referrers); image manifests keep their digests.
    V1,
    /// V2: found through an annotation of the image manifest.
    #[default]
    V2,
    /// V2, and a V1 index whose subject is the annotated manifest.
    Both,
}

impl IndexVersion {
    /// Whether a V1 index is made.
    #[must_use]
    pub fn has_v1(self) -> bool {
        self != Self::V2
    }

    /// Whether a V2 index is made.
    #[must_use]
    pub fn has_v2(self) -> bool {
        self != Self::V1
    }
}

/// The platform that an image index says a V2 index has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum V2Platform {
    /// That of its image, as the reference writes it. Clients that pull a platform take the SOCI index for one of its
    /// images and fetch its zTOCs; the snapshotter fetches them again.
    #[default]
    Image,
    /// `unknown/unknown`, as of what is no image: only the snapshotter fetches the zTOCs.
    Unknown,
}

/// How a V1 index is referenced in the layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum V1Shape {
    /// As a child of the image index: one command of any push tool carries everything.
    #[default]
    Nested,
    /// As the list `sha256-<hex>` of the distribution specification's referrers tag schema, one more
    /// entry of `index.json`: the digest behind the image's tag stays.
    Tagged,
}
