use super::*;
use futures_util::stream;

fn store() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::local(dir.path()).unwrap();
    (dir, files)
}

fn in_pieces(bytes: &[u8], size: usize) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(size).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

async fn kept(files: &Files, bytes: &[u8]) -> StoredMedia {
    let staged = files.receive("shop", &mut in_pieces(bytes, 1_000), 1 << 30).await.unwrap();
    files.keep(staged).await.unwrap()
}

async fn all(stream: ByteStream) -> Vec<u8> {
    stream
        .try_fold(Vec::new(), async |mut all, piece| {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
        .unwrap()
}

/// Names of files below a folder, how many there are.
fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn file_is_stored_by_hash_and_read_in_ranges() {
    let (dir, files) = store();
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[1] ^ 0x80).collect();
    let media = kept(&files, &bytes).await;
    assert_eq!((media.filesize, media.mimetype.as_str()), (700_000, "application/octet-stream"));
    let hash = media.hash.as_str();
    assert!(dir.path().join("files").join(&hash[..2]).join(&hash[2..4]).join(hash).is_file());
    assert_eq!(all(files.read(&media.hash, 0..700_000).await.unwrap()).await, bytes);
    assert_eq!(all(files.read(&media.hash, 300_001..300_007).await.unwrap()).await, bytes[300_001..300_007]);
    assert!(files_below(&dir.path().join("staging")).is_empty());
}

#[tokio::test]
async fn equal_content_is_stored_once() {
    let (dir, files) = store();
    let first = kept(&files, b"the same").await;
    assert_eq!(kept(&files, b"the same").await, first);
    assert_eq!(files_below(&dir.path().join("files")), [first.hash.as_str()]);
    files.remove(&first.hash).await.unwrap();
    files.remove(&first.hash).await.unwrap();
    assert!(matches!(files.read(&first.hash, 0..1).await, Err(MediaError::Gone)));
}

#[tokio::test]
async fn oversized_or_aborted_upload_leaves_nothing() {
    let (dir, files) = store();
    let too_large = files.receive("shop", &mut in_pieces(&[0; 5_000], 100), 4_999).await;
    assert!(matches!(too_large, Err(MediaError::TooLarge(4_999))));
    let pieces = vec![Ok(bytes::Bytes::from_static(b"half")), Err(io::ErrorKind::ConnectionReset.into())];
    assert!(matches!(
        files.receive("shop", &mut stream::iter(pieces).boxed(), 100).await,
        Err(MediaError::Incomplete(_))
    ));
    drop(files.receive("shop", &mut in_pieces(b"never kept", 3), 100).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(files_below(dir.path()).is_empty());
}

#[tokio::test]
async fn interrupted_upload_is_removed_at_start() {
    let (dir, files) = store();
    drop(files);
    std::fs::write(dir.path().join("staging/7.part"), b"half a file").unwrap();
    let _files = Files::local(dir.path()).unwrap();
    assert!(files_below(dir.path()).is_empty());
}

#[tokio::test]
async fn stored_files_are_listed_with_time() {
    let (_dir, files) = store();
    let media = kept(&files, b"something").await;
    let shard = u8::from_str_radix(&media.hash.as_str()[..2], 16).unwrap();
    let listed = files.list(shard).await.unwrap();
    assert!(listed.len() == 1 && listed[0].hash == media.hash && listed[0].at.0 > 0, "{listed:?}");
    assert!(files.list(shard.wrapping_add(1)).await.unwrap().is_empty());
}

#[tokio::test]
async fn picture_gets_thumbnail() {
    let (dir, files) = store();
    let mut png = io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(640, 480).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let media = kept(&files, png.get_ref()).await;
    assert!(media.has_thumbnail);
    assert!(files.read_thumbnail(&media.hash).await.unwrap().starts_with(b"\xff\xd8\xff"));
    files.remove(&media.hash).await.unwrap();
    assert!(files_below(dir.path()).is_empty());
}

#[tokio::test]
async fn busy_decoder_stores_picture_without_thumbnail() {
    let (_dir, files) = store();
    let _turns = (files.turns.turn("one").await.unwrap(), files.turns.turn("two").await.unwrap());
    let mut png = io::Cursor::new(Vec::new());
    image::DynamicImage::new_rgb8(20, 20).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let patience = std::time::Duration::from_secs(5);
    let media = tokio::time::timeout(patience, kept(&files, png.get_ref())).await.unwrap();
    assert!(!media.has_thumbnail && media.dimensions.is_some());
}

/// Pieces of so many bytes, with so many seconds before each.
fn dribbling(pieces: usize, bytes: usize, seconds: u64) -> ByteStream {
    let piece = bytes::Bytes::from(vec![b'x'; bytes]);
    let each = move |_| {
        let piece = piece.clone();
        async move {
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            Ok(piece)
        }
    };
    stream::iter(0..pieces).then(each).boxed()
}

#[tokio::test(start_paused = true)]
async fn stalled_upload_ends_and_slow_upload_completes() {
    let (dir, files) = store();
    let begun = tokio::time::Instant::now();
    let ended = files.receive("shop", &mut dribbling(1_000, 1, 5), 1 << 30).await;
    assert!(matches!(ended, Err(MediaError::TooSlow)));
    assert!((30..40).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // Fast at first, but not for ever.
    let mut slowing = dribbling(10, 60_000, 0).chain(dribbling(1_000, 100, 10)).boxed();
    let begun = tokio::time::Instant::now();
    assert!(matches!(files.receive("shop", &mut slowing, 1 << 30).await, Err(MediaError::TooSlow)));
    assert!((140..170).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let mut stopped = dribbling(100, 60_000, 0).chain(stream::pending()).boxed();
    assert!(matches!(files.receive("shop", &mut stopped, 1 << 30).await, Err(MediaError::Incomplete(_))));
    let steady = files.receive("shop", &mut dribbling(200, 5_000, 1), 1 << 30).await.unwrap();
    assert_eq!(steady.media().filesize, 1_000_000);
    drop((ended, steady, dir));
}
