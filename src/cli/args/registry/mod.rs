//! The commands that talk to registries, and the options of the connection, which `index` has too.

mod check;
mod connection;
mod image;
mod list;
mod push;

pub(crate) use check::CheckArgs;
use connection::REGISTRY;
pub(crate) use connection::RegistryArgs;
pub(crate) use image::registry_image;
pub(crate) use list::{ListArgs, images};
pub(crate) use push::PushArgs;
