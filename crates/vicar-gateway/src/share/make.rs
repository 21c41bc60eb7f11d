//! MKCOL.

use std::sync::Arc;

use http::{Response, StatusCode};
use vicar_os::fs::{Errno, FsError};

use super::RequestBody;
use super::answer;
use super::conditional::{self, Purpose};
use super::failure::Failure;
use super::guard::{self, Change, Touch};
use super::request::{Call, no_body};
use crate::body::ReplyBody;

pub(super) async fn serve(call: &Call<'_>, body: RequestBody) -> Result<Response<ReplyBody>, Failure> {
    no_body(body).await?;
    let (path, inner, headers) = (call.path(), Arc::clone(call.inner), Arc::clone(&call.headers));
    if path.is_here() {
        return Err(Failure::NOT_ALLOWED);
    }
    let touch = call
        .run(move |as_client, root| {
            let (directory, name) = root.parent(as_client, &path).map_err(|error| Failure::of_parent(&error))?;
            match directory.stat(as_client, &name) {
                Ok(_) => return Err(Failure::NOT_ALLOWED),
                Err(error) if error.is(Errno::NOENT) => {}
                Err(error) => return Err(Failure::of(&error)),
            }
            if let Some(status) = conditional::refusal(&headers, None, Purpose::Change) {
                return Err(Failure::status(status));
            }
            let above = guard::above(as_client, root, &directory, &inner).map_err(|error| Failure::of(&error))?;
            Ok(Touch { path, id: None, above, change: Change::Name })
        })
        .await?;
    guard::admit(call, &[touch]).await?;
    let path = call.path();
    call.run(move |as_client, root| {
        let (directory, name) = root.parent(as_client, &path).map_err(|error| Failure::of_parent(&error))?;
        directory
            .make_directory(as_client, &name, 0o777)
            .map_err(|error: FsError| if error.is(Errno::EXIST) { Failure::NOT_ALLOWED } else { Failure::of(&error) })
    })
    .await?;
    Ok(answer::bare(StatusCode::CREATED))
}
