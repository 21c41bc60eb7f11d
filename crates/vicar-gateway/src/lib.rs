//! HTTP and WebDAV as whoever signs in.
#![forbid(unsafe_code)]
