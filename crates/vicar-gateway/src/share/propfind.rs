//! PROPFIND.

use core::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use vicar_os::AsClient;
use vicar_os::fs::{BeneathPath, Directory, FileId, FsError, Links, Node, Root, Space, Stat};

use super::answer;
use super::conditional::{etag, http_date};
use super::failure::Failure;
use super::guard;
use super::listing::{Listing, Need, Rest};
use super::media::Media;
use super::pull;
use super::request::{Call, small_body};
use super::{Caller, Inner, RequestBody};
use crate::body::ReplyBody;
use crate::dav::body::{self as asked, Scope, Wanted};
use crate::dav::condition::Depth;
use crate::dav::href;
use crate::dav::property::{Dead, Live, STORE_NAME};
use crate::dav::stamp;
use crate::dav::xml::{Element, QualifiedName, escape_into};
use crate::lock::Held;

const MEDIA_OF_DIRECTORY: &str = "httpd/unix-directory";

pub(super) async fn serve(call: &Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    let wanted = asked::propfind(&small_body(body).await?).map_err(|error| Failure::of_xml(&error))?;
    let depth = call.depth()?.unwrap_or(Depth::Infinity);
    let (path, slash) = (call.path(), call.target.slash);
    let (inner, uid) = (Arc::clone(call.inner), call.uid());
    let (first, rest) = call
        .run(move |as_client, root| {
            let of = |error: FsError| Failure::of(&error);
            let node = root.look(as_client, &path, Links::Follow).map_err(of)?;
            let stat = *node.stat();
            if !stat.kind.is_served() {
                return Err(Failure::FORBIDDEN);
            }
            if slash && !stat.is_directory() {
                return Err(Failure::NOT_FOUND);
            }
            if stat.is_directory() && depth == Depth::Infinity {
                return Err(Failure::precondition(StatusCode::FORBIDDEN, "propfind-finite-depth"));
            }
            let space = if wanted.asks_for_space() { root.space(as_client).ok() } else { None };
            let mut view = View::new(wanted, uid, inner, space);
            view.above = guard::above_path(as_client, root, &path, &view.inner).map_err(of)?;
            let mut out = String::from(answer::MULTISTATUS_OPEN);
            view.write(as_client, &path, &stat, Some(&node), &mut out);
            if !stat.is_directory() || depth == Depth::Zero {
                return Ok((out, None));
            }
            let directory = Directory::of(node).map_err(of)?;
            view.above.insert(0, directory.id());
            let listing = Listing::read(as_client, path, directory, &view.inner, uid)?;
            let need = if view.needs_store { Need::Node } else { Need::Stat };
            let write = move |as_client: &AsClient<'_>,
                              root: &Root,
                              listing: &Listing,
                              entry: &vicar_os::fs::Entry,
                              out: &mut String| {
                if let Some(member) = listing.member(as_client, root, entry, need)
                    && let Ok(path) = listing.path.join(&entry.name)
                {
                    view.write(as_client, &path, &member.stat, member.node.as_ref(), out);
                }
            };
            let write: Arc<super::listing::Write> = Arc::new(write);
            let at = listing.write_batch(as_client, root, &*write, 0, &mut out);
            Ok((out, Some((listing, write, at))))
        })
        .await?;
    let mut response = answer::bare(StatusCode::MULTI_STATUS);
    response.headers_mut().insert(http::header::CONTENT_TYPE, answer::XML);
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    *response.body_mut() = match rest {
        Some((listing, write, at)) if at < listing.entries.len() => {
            let rest = Rest {
                jobs: call.jobs().clone(),
                caller: call.caller.clone(),
                seen: Arc::clone(&call.seen),
                listing: Arc::new(listing),
                write,
                at,
                close: answer::MULTISTATUS_CLOSE,
            };
            pull::body(Bytes::from(first), Some(rest), None)
        }
        Some(_) | None => crate::body::full(first + answer::MULTISTATUS_CLOSE),
    };
    Ok(response)
}

impl Wanted {
    /// Whether the store of properties has to be read.
    fn needs_store(&self) -> bool {
        match self {
            Self::All { .. } | Self::Names => true,
            Self::These(names) => names.iter().any(|name| Live::find(name).is_none()),
        }
    }

    fn asks_for_space(&self) -> bool {
        let is_quota = |name: &QualifiedName| Live::find(name).is_some_and(|live| !live.is_in_allprop());
        match self {
            Self::All { include } => include.iter().any(is_quota),
            Self::Names => false,
            Self::These(names) => names.iter().any(is_quota),
        }
    }
}

/// What is asked for, and what is the same for every entry of one directory.
struct View {
    wanted: Wanted,
    /// The ones of WebDAV's own among the wanted names.
    these: Vec<Option<Live>>,
    /// Whether clients' own properties are wanted.
    needs_store: bool,
    uid: u32,
    inner: Arc<Inner>,
    above: Vec<FileId>,
    space: Option<Space>,
}

impl View {
    fn new(wanted: Wanted, uid: u32, inner: Arc<Inner>, space: Option<Space>) -> Self {
        let these = match &wanted {
            Wanted::These(names) => names.iter().map(Live::find).collect(),
            Wanted::All { .. } | Wanted::Names => Vec::new(),
        };
        Self { needs_store: wanted.needs_store(), wanted, these, uid, inner, above: Vec::new(), space }
    }

    fn write(&self, as_client: &AsClient<'_>, path: &BeneathPath, stat: &Stat, node: Option<&Node>, out: &mut String) {
        let dead = match node {
            Some(node) if self.needs_store => read_store(as_client, node),
            Some(_) | None => Dead::default(),
        };
        // Percent-encoding leaves nothing that means anything in XML.
        out.push_str("<D:response><D:href>/");
        href::encode_into(path.as_bytes(), out);
        if stat.is_directory() && !path.is_here() {
            out.push('/');
        }
        out.push_str("</D:href>");
        let mut found = String::with_capacity(512);
        let mut missing = String::new();
        match &self.wanted {
            Wanted::All { include } => {
                for live in Live::ALL {
                    if live.is_in_allprop() || include.iter().any(|name| Live::find(name) == Some(live)) {
                        self.live(live, path, stat, &mut found);
                    }
                }
                dead.all().iter().for_each(|element| element.write(&mut found));
                for name in include {
                    if Live::find(name).is_none() && dead.find(name).is_none() {
                        Element::empty(name.clone()).write(&mut missing);
                    }
                }
            }
            Wanted::Names => {
                for live in Live::ALL {
                    let mut value = String::new();
                    self.live(live, path, stat, &mut value);
                    if !value.is_empty() || !live.is_in_allprop() && stat.is_directory() {
                        let _ = write!(found, "<D:{}/>", live.local_name());
                    }
                }
                dead.all().iter().for_each(|element| Element::empty(element.name.clone()).write(&mut found));
            }
            Wanted::These(names) => {
                for (name, live) in names.iter().zip(&self.these) {
                    let before = found.len();
                    match live {
                        Some(live) => self.live(*live, path, stat, &mut found),
                        None => {
                            if let Some(element) = dead.find(name) {
                                element.write(&mut found);
                            }
                        }
                    }
                    if found.len() == before {
                        Element::empty(name.clone()).write(&mut missing);
                    }
                }
            }
        }
        if !found.is_empty() || missing.is_empty() {
            propstat(&found, StatusCode::OK, out);
        }
        if !missing.is_empty() {
            propstat(&missing, StatusCode::NOT_FOUND, out);
        }
        out.push_str("</D:response>\n");
    }

    /// Writes one of WebDAV's own properties; nothing when this thing does not have it.
    fn live(&self, live: Live, path: &BeneathPath, stat: &Stat, out: &mut String) {
        let name = live.local_name();
        let mut text = |value: &str| {
            for part in ["<D:", name, ">"] {
                out.push_str(part);
            }
            escape_into(value, out);
            for part in ["</D:", name, ">"] {
                out.push_str(part);
            }
        };
        match live {
            Live::CreationDate => {
                if let Some(born) = stat.born {
                    text(&stamp::iso8601(born));
                }
            }
            Live::DisplayName => {
                let last = path.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                text(&String::from_utf8_lossy(last));
            }
            Live::ContentLength if !stat.is_directory() => text(&stat.size.to_string()),
            Live::ContentType => {
                text(if stat.is_directory() { MEDIA_OF_DIRECTORY } else { Media::of(path.as_bytes()).content_type })
            }
            Live::Etag if !stat.is_directory() => text(&etag(stat)),
            Live::ContentLength | Live::Etag => {}
            Live::LastModified => text(&http_date(stat.modified)),
            Live::LockDiscovery => {
                out.push_str("<D:lockdiscovery>");
                let now = Instant::now();
                if !self.inner.locks.is_empty(now) {
                    for held in self.inner.locks.covering(Some(stat.id), &self.above, now) {
                        active_lock(&held, self.uid, now, out);
                    }
                }
                out.push_str("</D:lockdiscovery>");
            }
            Live::ResourceType if stat.is_directory() => {
                out.push_str("<D:resourcetype><D:collection/></D:resourcetype>");
            }
            Live::ResourceType => out.push_str("<D:resourcetype/>"),
            Live::SupportedLock => out.push_str(SUPPORTED_LOCK),
            Live::QuotaAvailable | Live::QuotaUsed => {
                if let Some(space) = self.space.filter(|_| stat.is_directory()) {
                    let bytes = if live == Live::QuotaUsed { space.used_bytes } else { space.available_bytes };
                    text(&bytes.to_string());
                }
            }
        }
    }
}

const SUPPORTED_LOCK: &str = "<D:supportedlock>\
    <D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>\
    <D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>\
    </D:supportedlock>";

/// Writes a lock as others see it; only its holder sees its token.
pub(super) fn active_lock(held: &Held<Caller>, uid: u32, now: Instant, out: &mut String) {
    let scope = match held.scope {
        Scope::Exclusive => "exclusive",
        Scope::Shared => "shared",
    };
    let depth = if held.deep { "infinity" } else { "0" };
    let _ = write!(
        out,
        "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{scope}/></D:lockscope><D:depth>{depth}</D:depth>"
    );
    if let Some(owner) = &held.owner {
        out.push_str(owner);
    }
    let left = held.ends.saturating_duration_since(now).as_secs();
    let _ = write!(out, "<D:timeout>Second-{left}</D:timeout>");
    if held.uid == uid {
        let _ = write!(out, "<D:locktoken><D:href>{}</D:href></D:locktoken>", held.token.as_str());
    }
    out.push_str("<D:lockroot><D:href>");
    escape_into(&href::of(&held.path, false), out);
    out.push_str("</D:href></D:lockroot></D:activelock>");
}

/// Reads the properties that clients have set; what cannot be read or is not ours counts as none.
pub(super) fn read_store(as_client: &AsClient<'_>, node: &Node) -> Dead {
    match node.xattr(as_client, STORE_NAME) {
        Ok(Some(stored)) => Dead::parse(&stored).unwrap_or_default(),
        Ok(None) | Err(_) => Dead::default(),
    }
}

pub(super) fn propstat(properties: &str, status: StatusCode, out: &mut String) {
    out.push_str("<D:propstat><D:prop>");
    out.push_str(properties);
    out.push_str("</D:prop>");
    answer::status_line(status, out);
    out.push_str("</D:propstat>");
}
