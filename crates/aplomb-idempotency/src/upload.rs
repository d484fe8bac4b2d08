//! A request's body, read whole before anything begins.

use std::future::poll_fn;
use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is longer than the cap.
    TooLarge,
    /// It broke off.
    Broken,
}

/// Reads a body, up to `cap` bytes.
pub(crate) async fn whole<B: Body<Data = Bytes>>(body: B, cap: usize) -> Result<Bytes, Unread> {
    if body.size_hint().lower() > cap as u64 {
        return Err(Unread::TooLarge);
    }
    let mut body = pin!(body);
    let Some(first) = next(body.as_mut()).await? else {
        return Ok(Bytes::new());
    };
    // What nearly every body is: one piece, and no need to copy it.
    if body.is_end_stream() && first.len() <= cap {
        return Ok(first);
    }
    let mut whole = BytesMut::new();
    let mut piece = Some(first);
    while let Some(data) = piece {
        if whole.len() + data.len() > cap {
            return Err(Unread::TooLarge);
        }
        whole.extend_from_slice(&data);
        piece = next(body.as_mut()).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of it; trailers are read and left.
async fn next<B: Body<Data = Bytes>>(mut body: Pin<&mut B>) -> Result<Option<Bytes>, Unread> {
    loop {
        if body.is_end_stream() {
            return Ok(None);
        }
        match poll_fn(|cx| body.as_mut().poll_frame(cx)).await.map(|f| f.map(Frame::into_data)) {
            None => return Ok(None),
            Some(Ok(Ok(data))) => return Ok(Some(data)),
            Some(Ok(Err(_trailers))) => {}
            Some(Err(_)) => return Err(Unread::Broken),
        }
    }
}
