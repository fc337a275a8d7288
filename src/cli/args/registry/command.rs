//! The commands that talk to registries; the build without the feature `registry` has none of them.

use clap::Subcommand;

use super::{CheckArgs, PushArgs};

// In the order in which people need them, which is that of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    Push(PushArgs),
    Check(CheckArgs),
}
