//! Plays sounds through a server with the PulseAudio protocol, such as PipeWire.
//!
//! Each sound opens its own connection, so that a restarted server is found by the next sound. The library
//! serves a connection on a thread, which ends when [`Connection`] is dropped and shuts the socket.

use std::ffi::{CString, OsString};
use std::future::Future;
use std::io::Read as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{self, ChannelMap, ChannelVolume, PlaybackStreamParams, SampleFormat, SampleSpec};
use pulseaudio::{AsPlaybackSource as _, Client, ClientError};
use tokio::time::timeout;

use super::decode::{CHANNELS, RATE, Samples};
use crate::effects::{EffectError, sanitize};

/// Time limit of one request to the server.
const PATIENCE: Duration = Duration::from_secs(2);
/// Additional time for the server to confirm the end of playback.
const DRAIN: Duration = Duration::from_secs(4);
/// Delay between the server's confirmation and the end of the audible sound.
const TAIL: Duration = Duration::from_millis(300);
const NO_SERVER: &str = "no sound server (PulseAudio or PipeWire) was found: neither PULSE_SERVER nor $XDG_RUNTIME_DIR/pulse/native leads to one";
/// Name of the placeholder output of a server without hardware.
const NOWHERE: &[u8] = b"auto_null";
/// Bytes of an authentication cookie.
const COOKIE: usize = 256;
/// Bytes of a sample.
const WIDTH: usize = 4;
/// Bytes that the server buffers: a fifth of a second.
const AHEAD: u32 = RATE / 5 * CHANNELS as u32 * WIDTH as u32;

struct Connection {
    client: Client,
    /// A clone of the socket, used to shut it.
    socket: UnixStream,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Whether the server is available and has the output. At most 2 s per request.
///
/// # Errors
/// [`EffectError::Off`] with the reason, or [`EffectError::Timeout`].
pub(super) async fn probe(device: Option<&str>) -> Result<(), EffectError> {
    let connection = connect().await?;
    let sinks = asked(connection.client.list_sinks()).await?;
    let names: Vec<&[u8]> =
        sinks.iter().map(|sink| sink.name.as_bytes()).filter(|name| *name != NOWHERE).collect();
    match device {
        _ if names.is_empty() => Err(EffectError::Off("the sound server has no output".to_owned())),
        Some(device) if !names.contains(&device.as_bytes()) => {
            let there: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
            let there = sanitize::line(&there.join(", "), 300);
            Err(EffectError::Off(format!("the sound server has no output {device:?}; it has: {there}")))
        }
        _ => Ok(()),
    }
}

/// Plays samples to their end.
///
/// # Errors
/// Those of [`probe`], and [`EffectError::Failed`].
pub(super) async fn play(samples: Samples, device: Option<&str>) -> Result<(), EffectError> {
    let length = Duration::from_millis(samples.ms());
    let connection = connect().await?;
    let params = params(device)?;
    let mut rest = samples.0.into_iter();
    let source = move |buffer: &mut [u8]| {
        let room = buffer.len() - buffer.len() % (WIDTH * usize::from(CHANNELS));
        let mut written = 0;
        for (place, sample) in buffer[..room].chunks_exact_mut(WIDTH).zip(rest.by_ref()) {
            place.copy_from_slice(&sample.to_le_bytes());
            written += WIDTH;
        }
        written
    };
    let stream = asked(connection.client.create_playback_stream(params, source.as_playback_source())).await?;
    let taken = timeout(length + PATIENCE, stream.source_eof()).await;
    taken.map_err(|_| EffectError::Timeout)?.map_err(|error| explained(&error))?;
    // All samples are sent. The server plays its buffer first, with some outputs two seconds of silence.
    if let Ok(drained) = timeout(length + DRAIN, stream.drain()).await {
        drained.map_err(|error| explained(&error))?;
    }
    tokio::time::sleep(TAIL).await;
    Ok(())
}

fn params(device: Option<&str>) -> Result<PlaybackStreamParams, EffectError> {
    let name = device.map_or(Ok(protocol::DEFAULT_SINK.to_owned()), CString::new);
    let name =
        name.map_err(|_| EffectError::Off("the name of an output must not contain a zero byte".to_owned()))?;
    Ok(PlaybackStreamParams {
        sample_spec: SampleSpec { format: SampleFormat::Float32Le, channels: CHANNELS, sample_rate: RATE },
        channel_map: ChannelMap::stereo(),
        cvolume: Some(ChannelVolume::norm(CHANNELS)),
        sink_name: Some(name),
        // The default buffer is two seconds, which delays the confirmation by as much.
        buffer_attr: BufferAttr { target_length: AHEAD, ..Default::default() },
        flags: StreamFlags { adjust_latency: true, ..Default::default() },
        ..Default::default()
    })
}

async fn connect() -> Result<Connection, EffectError> {
    let path = pulseaudio::socket_path_from_env().ok_or_else(|| EffectError::Off(NO_SERVER.to_owned()))?;
    let refused = |_| EffectError::Off(NO_SERVER.to_owned());
    // Unlike the library's call, this one does not block when the server accepts no connections.
    let socket = timeout(PATIENCE, tokio::net::UnixStream::connect(path)).await;
    let socket = socket.map_err(|_| EffectError::Timeout)?.map_err(refused)?;
    let socket = socket.into_std().map_err(refused)?;
    let made = tokio::task::spawn_blocking(move || greet(socket)).await;
    made.map_err(|_| EffectError::Failed("the sound server's greeting could not be read".to_owned()))?
}

/// Reads the authentication cookie from the same places as PulseAudio's library. Without a file it is all
/// zeros, because servers without authentication still expect its length.
fn cookie(variable: impl Fn(&str) -> Option<OsString>) -> Vec<u8> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("HOME");
    let config = set("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let places = [
        set("PULSE_COOKIE"),
        config.map(|config| config.join("pulse/cookie")),
        home.map(|home| home.join(".pulse-cookie")),
    ];
    let read = |path: PathBuf| {
        let mut bytes = Vec::new();
        std::fs::File::open(path).ok()?.take(COOKIE as u64).read_to_end(&mut bytes).ok()?;
        (bytes.len() == COOKIE).then_some(bytes)
    };
    places.into_iter().flatten().find_map(read).unwrap_or_else(|| vec![0; COOKIE])
}

/// The library's handshake blocks; the socket's timeout bounds it.
fn greet(socket: UnixStream) -> Result<Connection, EffectError> {
    let prepared = || {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.try_clone()
    };
    let handle = prepared().map_err(|error: std::io::Error| EffectError::Failed(error.to_string()))?;
    let client = Client::new_unix(c"Wharf", socket, Some(cookie(|name| std::env::var_os(name))))
        .map_err(|error| explained(&error))?;
    Ok(Connection { client, socket: handle })
}

async fn asked<T>(question: impl Future<Output = Result<T, ClientError>>) -> Result<T, EffectError> {
    let answer = timeout(PATIENCE, question).await;
    answer.map_err(|_| EffectError::Timeout)?.map_err(|error| explained(&error))
}

fn explained(error: &ClientError) -> EffectError {
    match error {
        ClientError::ServerUnavailable => EffectError::Off(NO_SERVER.to_owned()),
        ClientError::Io(error) if is_timeout(error) => EffectError::Timeout,
        ClientError::Protocol(protocol::ProtocolError::Io(error)) if is_timeout(error) => {
            EffectError::Timeout
        }
        ClientError::ServerError(protocol::PulseError::NoEntity) => {
            EffectError::Off("the sound server does not have this output".to_owned())
        }
        ClientError::ServerError(protocol::PulseError::AccessDenied) => {
            EffectError::Off("the sound server refuses this user".to_owned())
        }
        other => {
            EffectError::Failed(format!("the sound server: {}", sanitize::line(&other.to_string(), 200)))
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulse_cookie_is_read_from_configured_path_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for (name, byte) in [("own", 1), ("config/pulse/cookie", 2), (".config/pulse/cookie", 3)] {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::write(path(name), [byte; COOKIE]).unwrap();
        }
        std::fs::write(path("short"), [9; 5]).unwrap();
        let found = |set: &[(&str, &str)]| {
            cookie(|name| {
                let (_, value) = set.iter().find(|(set_name, _)| *set_name == name)?;
                Some(path(value).into_os_string())
            })
        };
        let (home, config) = (("HOME", ""), ("XDG_CONFIG_HOME", "config"));
        assert_eq!(found(&[("PULSE_COOKIE", "own"), config, home]), [1; COOKIE]);
        assert_eq!(found(&[("PULSE_COOKIE", "short"), config, home]), [2; COOKIE]);
        assert_eq!(found(&[home]), [3; COOKIE]);
        assert_eq!(found(&[("HOME", "nowhere")]), [0; COOKIE]);
        assert_eq!(found(&[]), [0; COOKIE]);
    }
}
