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
pub(crate) use node::{TRIES, magic_path, stat_of};
pub use root::{Root, Space};
pub(crate) use root::{refuse_kernel_file_system, space_of};
pub use stat::{FileId, Kind, Stat, Time};
pub use temp::Temp;
pub use tree::{Failed, Limits, Reach, Verdict, building_name, copy_tree, remove_tree};

/// A step without the witness that this thread acts as the client does not compile:
/// ```compile_fail,E0061
/// use vicar_os::fs::{BeneathPath, Links, Node, Root};
/// fn second_step(root: &Root, path: &BeneathPath) -> Option<Node> {
///     root.look(path, Links::Follow).ok()
/// }
/// ```
/// ```compile_fail,E0061
/// use vicar_os::fs::Node;
/// fn second_step(node: &Node) -> bool {
///     node.set_mode(0o644).is_ok()
/// }
/// ```
/// and with it, it does:
/// ```
/// use vicar_os::AsClient;
/// use vicar_os::fs::{BeneathPath, Links, Node, Root};
/// fn second_step(as_client: &AsClient<'_>, root: &Root, path: &BeneathPath) -> Option<Node> {
///     root.look(as_client, path, Links::Follow).ok().filter(|node| node.set_mode(as_client, 0o644).is_ok())
/// }
/// ```
/// The witness cannot be kept for a step after the thread is the server again:
/// ```compile_fail,E0521
/// use vicar_os::{AsClient, ClientContext, Server};
/// fn keep(server: &Server, client: &ClientContext) {
///     let mut kept: Option<&AsClient<'_>> = None;
///     let _ = server.run_as(client, |as_client| kept = Some(as_client));
/// }
/// ```
/// nor given to another thread, which is the server:
/// ```compile_fail,E0277
/// use vicar_os::{ClientContext, Server};
/// fn hand_over(server: &Server, client: &ClientContext) {
///     let _ = server.run_as(client, |as_client| {
///         std::thread::scope(|scope| drop(scope.spawn(move || drop(as_client.shown().uid))));
///     });
/// }
/// ```
#[cfg(doctest)]
mod cv22_a_file_operation_without_the_witness {}
