//! Downloads a file as a stream. Redirects are followed, and each target is checked before the request.

use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use reqwest::header::LOCATION;
use reqwest::{Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::client::{GuardedClient, NetError, failed};

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

impl GuardedClient {
    /// The body of a 200 answer to a GET as a stream. Redirects are followed after a check of their target.
    ///
    /// # Errors
    /// [`NetError`]. A failure after the head of the answer, such as more bytes than `limit` or a timeout, ends the
    /// stream with an error.
    pub async fn download(
        &self,
        url: &Url,
        limit: u64,
        timeout: Duration,
    ) -> Result<BoxStream<'static, io::Result<bytes::Bytes>>, NetError> {
        let deadline = Instant::now() + timeout;
        let response = self.followed(url.clone(), deadline).await?;
        if response.status() != StatusCode::OK {
            return Err(NetError::Status(response.status().as_u16()));
        }
        let too_large = move || NetError::TooLarge(usize::try_from(limit).unwrap_or(usize::MAX));
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut size = 0_u64;
        let pieces = response.bytes_stream().map(move |piece| {
            let piece = piece.map_err(|error| io::Error::other(failed(error)))?;
            size = size.saturating_add(piece.len() as u64);
            // The piece that exceeds the limit is returned, so that a caller that counts bytes detects the excess.
            if size.saturating_sub(piece.len() as u64) > limit {
                Err(io::Error::other(too_large()))
            } else {
                Ok(piece)
            }
        });
        // No caller reads on after an error.
        let pieces = stream::unfold(Some(pieces.boxed()), async |pieces| {
            let mut pieces = pieces?;
            let piece = pieces.next().await?;
            let rest = piece.is_ok().then_some(pieces);
            Some((piece, rest))
        });
        Ok(pieces.fuse().boxed())
    }

    async fn followed(&self, mut url: Url, deadline: Instant) -> Result<Response, NetError> {
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url)?;
            let left = deadline.saturating_duration_since(Instant::now());
            let request = self.client().await?.get(url.clone()).timeout(left);
            let response = request.send().await.map_err(failed)?;
            if !is_redirect(response.status()) {
                return Ok(response);
            }
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            let status = NetError::Status(response.status().as_u16());
            url = target.and_then(|target| url.join(target).ok()).ok_or(status)?;
        }
        Err(NetError::TooManyRedirects(MAX_REDIRECTS))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::{client, serve};
    use super::*;

    async fn all(mut pieces: BoxStream<'static, io::Result<bytes::Bytes>>) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all)
    }

    async fn fetched(url: &Url, limit: u64) -> Result<Vec<u8>, NetError> {
        let pieces = client(&["127.0.0.0/8"]).download(url, limit, Duration::from_millis(800)).await?;
        Ok(all(pieces).await.unwrap())
    }

    fn redirect_to(target: &str) -> &'static str {
        format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .leak()
    }

    #[tokio::test]
    async fn download_follows_redirects() {
        let file = serve("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        let there = serve(redirect_to(file.as_str())).await;
        assert_eq!(fetched(&there, 5).await.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn redirect_to_refused_address_is_refused() {
        for target in [
            "http://10.0.0.1/",
            "http://[::1]:9/",
            "http://169.254.169.254/latest",
            "http://0x7f000001.x@[::1]/",
        ] {
            let url = serve(redirect_to(target)).await;
            let error = fetched(&url, 5).await.unwrap_err();
            assert!(matches!(error, NetError::Refused(_)), "{target}: {error:?}");
        }
        let url = serve(redirect_to("file:///etc/passwd")).await;
        assert!(matches!(fetched(&url, 5).await, Err(NetError::Url)));
    }

    #[tokio::test]
    async fn endless_redirects_are_refused() {
        let url = serve(redirect_to("/again")).await;
        assert!(matches!(fetched(&url, 5).await, Err(NetError::TooManyRedirects(5))));
    }

    #[tokio::test]
    async fn oversized_or_slow_download_ends() {
        let announced = serve("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n012345").await;
        assert!(matches!(fetched(&announced, 5).await, Err(NetError::TooLarge(5))));
        let stuck = serve("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n012").await;
        let pieces = client(&["127.0.0.0/8"]).download(&stuck, 10, Duration::from_millis(200)).await.unwrap();
        assert!(all(pieces).await.is_err());
    }
}
