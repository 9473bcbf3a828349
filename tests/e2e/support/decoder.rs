//! Decodes QR drawings with real readers: `zbarimg` (Debian: `zbar-tools`) and, for SVG, `rsvg-convert`
//! (`librsvg2-bin`). `./dev test --slow` installs both.

use std::path::Path;
use std::process::Command;

/// Pixels of a terminal cell: each QR module is a square of eight.
const CELL: (usize, usize) = (8, 16);
/// Pixels of terminal background around the text.
const EDGE: usize = 32;

/// Decodes a PNG.
pub fn read_png(image: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("code.png");
    std::fs::write(&file, image).unwrap();
    decode(&file)
}

/// Decodes an SVG.
pub fn read_svg(image: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (vector, file) = (dir.path().join("code.svg"), dir.path().join("code.png"));
    std::fs::write(&vector, image).unwrap();
    let status = Command::new("rsvg-convert").arg(&vector).arg("-o").arg(&file).status();
    assert!(status.expect("rsvg-convert (Debian: librsvg2-bin)").success());
    decode(&file)
}

/// Decodes text as shown on a terminal with this grey background.
pub fn read_terminal(text: &str, theme: u8) -> String {
    let rows: Vec<Vec<(u8, u8)>> = text.lines().map(coloured).collect();
    read_png(&paint(&rows, theme))
}

/// Decodes half blocks without colours, black on white.
pub fn read_half_blocks(text: &str) -> String {
    let cell = |c| match c {
        '█' => (0, 0),
        '▀' => (0, 255),
        '▄' => (255, 0),
        ' ' => (255, 255),
        other => panic!("{other:?} is no half block"),
    };
    let rows: Vec<Vec<(u8, u8)>> = text.lines().map(|line| line.chars().map(cell).collect()).collect();
    read_png(&paint(&rows, 255))
}

fn decode(image: &Path) -> String {
    let answer = Command::new("zbarimg").args(["-q", "--raw"]).arg(image).output();
    let answer = answer.expect("zbarimg (Debian: zbar-tools)");
    assert!(answer.status.success(), "zbarimg found no code in {}", image.display());
    String::from_utf8(answer.stdout).unwrap().trim_end().to_owned()
}

/// Paints the cells as a terminal does.
fn paint(rows: &[Vec<(u8, u8)>], theme: u8) -> Vec<u8> {
    let (width, height) = (rows[0].len() * CELL.0 + 2 * EDGE, rows.len() * CELL.1 + 2 * EDGE);
    let mut pixels = vec![theme; width * height];
    for (row, cells) in rows.iter().enumerate() {
        for (column, (upper, lower)) in cells.iter().enumerate() {
            for y in 0..CELL.1 {
                let from = (row * CELL.1 + y + EDGE) * width + column * CELL.0 + EDGE;
                pixels[from..from + CELL.0].fill(if y < CELL.1 / 2 { *upper } else { *lower });
            }
        }
    }
    let mut image = Vec::new();
    let mut encoder = png::Encoder::new(&mut image, width.try_into().unwrap(), height.try_into().unwrap());
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    image
}

/// Grey values of the upper and the lower half of each cell in a line that sets its own colours.
fn coloured(line: &str) -> Vec<(u8, u8)> {
    let (mut cells, mut upper, mut lower) = (Vec::new(), 128, 128);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(sequence) = rest.strip_prefix("\x1b[") {
            let (codes, after) = sequence.split_once('m').unwrap();
            for code in codes.split(';') {
                match code {
                    "30" => upper = 0,
                    "97" => upper = 255,
                    "40" => lower = 0,
                    "107" => lower = 255,
                    "0" => {}
                    other => panic!("unexpected colour {other}"),
                }
            }
            rest = after;
            continue;
        }
        assert_eq!(c, '▀');
        cells.push((upper, lower));
        rest = &rest[c.len_utf8()..];
    }
    cells
}
