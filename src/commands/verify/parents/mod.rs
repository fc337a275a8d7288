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
//! [`implied`] finds the directories in the zTOCs before any layer is read, [`watched`] notes what each layer
//! says about just these while its archive is in memory, and [`stack`] puts the layers of an image together.

mod implied;
mod stack;
mod watched;

pub(super) use implied::watch;
pub(super) use stack::{Stack, StackLayer, check};
pub(super) use watched::{Seen, Watched};
