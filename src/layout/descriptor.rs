//! Descriptors as documents hold them: typed for reading, with the text they were read from.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Error;
use crate::oci::digest::{Digest, ParseDigestError};
use crate::oci::json::schema::{self, DESCRIPTOR};
use crate::oci::json::{Member, elements, members};
use crate::oci::platform::Platform;

/// A descriptor that can be followed.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    /// The JSON text, as it stands in its document.
    pub(crate) text: String,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) platform: Option<Platform>,
}

/// A descriptor of a document.
#[derive(Clone, Debug)]
pub(crate) enum AnyDescriptor {
    /// One that can be followed.
    Known(Box<Descriptor>),
    /// One with a digest of another algorithm.
    Foreign {
        /// The JSON text.
        text: String,
        /// The digest.
        digest: String,
    },
}

impl AnyDescriptor {
    /// Reads the descriptor `text`, which stands at byte `at` of the document `place`.
    pub(crate) fn parse(text: &str, at: usize, place: &str) -> Result<Self, Error> {
        schema::check(text, at, &DESCRIPTOR, None).map_err(Error::mistake(place))?;
        Self::read(text, place)
    }

    /// Reads the descriptor `text` of the document `place`, which was checked as a whole.
    pub(crate) fn read(text: &str, place: &str) -> Result<Self, Error> {
        let object = Object::read(text, place)?;
        // Checked first: a digest becomes a file name, so it gets an error of its own.
        let value: String = object.required("digest")?;
        let digest = match value.parse() {
            Ok(digest) => digest,
            Err(ParseDigestError::Algorithm(_)) => {
                return Ok(Self::Foreign { text: text.to_owned(), digest: value });
            }
            Err(source) => return Err(Error::digest(place, &value, source)),
        };
        let size: i64 = object.required("size")?;
        let size = u64::try_from(size).map_err(|_| Error::Document {
            place: place.to_owned(),
            problem: format!("the size of {digest}: expected no negative number, found {size}"),
        })?;
        let platform = object.value("platform");
        Ok(Self::Known(Box::new(Descriptor {
            text: text.to_owned(),
            media_type: object.required("mediaType")?,
            digest,
            size,
            annotations: object.strings("annotations")?,
            platform: platform.map(|text| Object::read(text, place)?.platform()).transpose()?,
        })))
    }

    /// As [`Self::read`], refusing digests of other algorithms.
    pub(crate) fn read_known(text: &str, place: &str) -> Result<Descriptor, Error> {
        match Self::read(text, place)? {
            Self::Known(descriptor) => Ok(*descriptor),
            Self::Foreign { digest, .. } => {
                let source = digest.parse::<Digest>().err().unwrap_or(ParseDigestError::Malformed);
                Err(Error::digest(place, &digest, source))
            }
        }
    }

    /// Reads the array `text` of descriptors of a document that was checked as a whole; `null` is an empty one.
    pub(crate) fn read_list(text: &str, place: &str) -> Result<Vec<Self>, Error> {
        if text == "null" {
            return Ok(Vec::new());
        }
        let list = elements(text).map_err(Error::json(place))?;
        list.iter().map(|element| Self::read(element.value, place)).collect()
    }
}

/// An object of a document that was checked ([`schema::check`]), to be read member by member: `null` is no
/// value, as in Go.
pub(crate) struct Object<'a> {
    members: Vec<Member<'a>>,
    place: &'a str,
}

impl<'a> Object<'a> {
    pub(crate) fn read(text: &'a str, place: &'a str) -> Result<Self, Error> {
        Ok(Self { members: members(text).map_err(Error::json(place))?, place })
    }

    /// The JSON text of a member.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        let member = self.members.iter().find(|member| member.name == name)?;
        Some(member.value).filter(|value| *value != "null")
    }

    pub(crate) fn get<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, Error> {
        let value = self.value(name).map(serde_json::from_str).transpose();
        value.map_err(Error::json(self.place))
    }

    fn required<T: Deserialize<'a>>(&self, name: &str) -> Result<T, Error> {
        self.get(name)?.ok_or_else(|| Error::Document {
            place: self.place.to_owned(),
            problem: format!("a descriptor has a member {name:?}, one in it has not"),
        })
    }

    /// A string; `null` is the empty one.
    pub(crate) fn text(&self, name: &str) -> Result<String, Error> {
        self.get(name).map(Option::unwrap_or_default)
    }

    /// The strings of an array; `null` is an empty array, and in it the empty string.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, Error> {
        let list: Option<Vec<Option<String>>> = self.get(name)?;
        Ok(list.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect())
    }

    /// An object; `null` is one without members.
    pub(crate) fn object(&self, name: &str) -> Result<Self, Error> {
        Self::read(self.value(name).unwrap_or("{}"), self.place)
    }

    /// The objects of an array; `null` is an empty one, among them one without members.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Self>, Error> {
        let list = elements(self.value(name).unwrap_or("[]")).map_err(Error::json(self.place))?;
        let read = |value| Self::read(if value == "null" { "{}" } else { value }, self.place);
        list.iter().map(|element| read(element.value)).collect()
    }

    /// An object of strings; `null` is the empty one.
    pub(crate) fn strings(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let map: Option<BTreeMap<String, Option<String>>> = self.get(name)?;
        let map = map.unwrap_or_default().into_iter();
        Ok(map.map(|(name, value)| (name, value.unwrap_or_default())).collect())
    }

    /// The members of a platform, or of a configuration that make its platform.
    pub(crate) fn platform(&self) -> Result<Platform, Error> {
        let (os, version) = (self.text("os")?, self.text("os.version")?);
        Ok(Platform::new(&os, &self.text("architecture")?, &self.text("variant")?, &version))
    }
}
