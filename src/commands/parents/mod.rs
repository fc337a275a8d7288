//! Directories that a lazy layer has names in and no entry for.
//!
//! The reader makes such a directory up: mode 0755, owner 0:0, no extended attributes (reference:
//! `metadata/reader.go` `getOrCreateDir`). In the overlay it hides the attributes of the same directory in a lower
//! layer, which a runtime that unpacks takes over (containerd: `pkg/archive/tar.go` `mkparent`). What of the lower
//! names is seen stays the same.
//!
//! The root is left out. The reader makes it as it makes the others (`initRootNode`), but what a container sees
//! of it is the directory that its snapshot adds on top, 0755, with the owner of the uppermost layer's root; and
//! containerd takes no notice of a layer's entry for the root, so unpacked it has owner 0:0 as well.
//!
//! [`implied`] finds the directories in the zTOCs, [`watched`] notes what each layer
//! says about just these while its archive is in memory, and [`stack`] puts the layers of an image together.

mod implied;
mod stack;
mod watched;

use crate::oci::digest::Digest;

pub(in crate::commands) use implied::{implies, watch};
pub(in crate::commands) use stack::{Hidden, Stack, StackLayer, hidden};
pub(in crate::commands) use watched::{Attributes, Seen, Watched};

#[cfg(test)]
pub(in crate::commands) use watched::Budget;

/// Digest and size of a zTOC.
pub(in crate::commands) type ZtocKey = (Digest, u64);
