//! Reads the duration and the picture size of an MP4 file from its boxes (ISO/IEC 14496-12, "mvhd" and "tkhd").
//! At most [`MAX_BOXES`] boxes are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::{Probed, as_f64};
use crate::domain::media::Dimensions;

/// Most boxes that are read in one file: a crafted file may have any number.
const MAX_BOXES: usize = 512;

/// The name of a box, and the begin and end of its content.
struct Found {
    name: [u8; 4],
    from: u64,
    to: u64,
}

/// The values in `moov`; `None` without one.
pub(super) fn read(file: &mut File) -> Option<Probed> {
    let end = file.metadata().ok()?.len();
    let mut budget = MAX_BOXES;
    let mut found = Probed::default();
    let moov = children(file, 0, end, &mut budget).into_iter().find(|b| &b.name == b"moov")?;
    for inner in children(file, moov.from, moov.to, &mut budget) {
        match &inner.name {
            b"mvhd" => found.duration = duration(file, &inner),
            b"trak" => {
                let boxes = children(file, inner.from, inner.to, &mut budget);
                let header = boxes.iter().find(|b| &b.name == b"tkhd");
                found.dimensions = found.dimensions.or_else(|| size(file, header?));
            }
            _ => {}
        }
    }
    Some(found)
}

/// The complete boxes between two offsets.
fn children(file: &mut File, from: u64, to: u64, budget: &mut usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = from;
    while at < to && *budget > 0 {
        *budget -= 1;
        let Some(next) = header(file, at, to) else { break };
        at = next.to;
        found.push(next);
    }
    found
}

fn header(file: &mut File, at: u64, end: u64) -> Option<Found> {
    let bytes: [u8; 8] = bytes_at(file, at)?;
    let name = [bytes[4], bytes[5], bytes[6], bytes[7]];
    let (from, size) = match u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) {
        0 => (at + 8, end - at),
        1 => (at + 16, u64::from_be_bytes(bytes_at(file, at + 8)?)),
        size => (at + 8, u64::from(size)),
    };
    let to = at.checked_add(size)?;
    (from <= to && to <= end).then_some(Found { name, from, to })
}

fn duration(file: &mut File, mvhd: &Found) -> Option<f64> {
    let [version, ..]: [u8; 4] = bytes_at(file, mvhd.from)?;
    let (scale, units) = if version == 1 {
        (bytes_at(file, mvhd.from + 20)?, u64::from_be_bytes(bytes_at(file, mvhd.from + 24)?))
    } else {
        let units: [u8; 4] = bytes_at(file, mvhd.from + 16)?;
        (bytes_at(file, mvhd.from + 12)?, u64::from(u32::from_be_bytes(units)))
    };
    let scale = u32::from_be_bytes(scale);
    (scale > 0 && units > 0).then(|| as_f64(units) / f64::from(scale))
}

/// Width and height end a track's header, as 16.16 fixed-point numbers; a sound track has none.
fn size(file: &mut File, tkhd: &Found) -> Option<Dimensions> {
    if tkhd.to - tkhd.from < 84 {
        return None;
    }
    let (width, height) = (bytes_at(file, tkhd.to - 8)?, bytes_at(file, tkhd.to - 4)?);
    let pixels = |fixed: [u8; 4]| u32::from_be_bytes(fixed) >> 16;
    let dimensions = Dimensions { width: pixels(width), height: pixels(height) };
    (dimensions.width > 0 && dimensions.height > 0).then_some(dimensions)
}

fn bytes_at<const N: usize>(file: &mut File, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, content].concat()
    }

    fn movie() -> Vec<u8> {
        let mut mvhd = vec![0; 100];
        mvhd[12..16].copy_from_slice(&1000_u32.to_be_bytes());
        mvhd[16..20].copy_from_slice(&2500_u32.to_be_bytes());
        let mut tkhd = vec![0; 84];
        tkhd[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
        tkhd[80..84].copy_from_slice(&(480_u32 << 16).to_be_bytes());
        let sound = boxed(b"trak", &boxed(b"tkhd", &[0; 84]));
        let moov = [boxed(b"mvhd", &mvhd), sound, boxed(b"trak", &boxed(b"tkhd", &tkhd))].concat();
        [boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"mdat", &[7; 300]), boxed(b"moov", &moov)].concat()
    }

    fn read_bytes(bytes: &[u8]) -> Option<Probed> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        read(&mut file)
    }

    #[test]
    fn mp4_duration_and_dimensions_are_read() {
        let found = read_bytes(&movie()).unwrap();
        assert_eq!(found.duration, Some(2.5));
        assert_eq!(found.dimensions, Some(Dimensions { width: 640, height: 480 }));
    }

    #[test]
    fn truncated_mp4_is_harmless() {
        let whole = movie();
        for length in 0..whole.len() {
            let _ = read_bytes(&whole[..length]);
        }
        assert_eq!(read_bytes(&whole[..whole.len() - 1]), None);
    }

    #[test]
    fn mp4_box_with_wrong_size_ends_search() {
        for size in [0_u32, 1, 2, 7, u32::MAX] {
            let mut movie = movie();
            movie[16..20].copy_from_slice(&size.to_be_bytes());
            let _ = read_bytes(&movie);
        }
        assert_eq!(read_bytes(&boxed(b"free", b"").repeat(5_000)), None);
    }
}
