//! File operations beneath one directory, done as the client and as nobody else.
//!
//! Every operation takes [`AsClient`](crate::AsClient) as the evidence that this thread holds the client's identity
//! now, so it is the kernel that decides whether the client may do it. A [`Root`] is a directory that the client itself
//! opened from `/`; a [`BeneathPath`] names something beneath it; a [`Node`] is one inode that was found there and
//! looked at, a [`Directory`] one in which names are made, changed and removed; a [`Temp`] is a file that has no name
//! until its content is whole.
//!
//! A path is resolved once per call by `openat2`, beneath the root: links that stay beneath it are followed, links and
//! `..` that leave it are refused, and so are the magic links of procfs. Only regular files and directories are opened
//! for content, and only after a look at their type, so a FIFO or a device is neither opened nor waited for. Nothing
//! here reads the name of a user, writes a log or keeps an identity.

mod attribute;
mod beneath;
mod content;
mod directory;
mod error;
mod node;
mod root;
mod stat;
mod temp;
mod tree;

pub use attribute::XATTR_VALUE_LIMIT;
pub use beneath::{BeneathPath, Name, NameError};
pub use content::File;
pub use directory::{Directory, Entry, Replace};
pub use error::{Errno, FsError};
pub use node::{Access, Links, Node};
pub(crate) use root::refuse_kernel_file_system;
pub use root::{Root, Space};
pub use stat::{FileId, Kind, Stat, Time};
pub use temp::Temp;
pub use tree::{Failed, Limits, Reach, Verdict, building_name, copy_tree, remove_tree};
