//! The plots: bars on a plain ground, readable in light and dark.

use plotters::prelude::*;

use super::Parts;
use crate::figures::Figure;
use crate::http::Load;

/// A picture and its file's name.
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) svg: String,
}

/// Every plot that the parts have figures for.
pub(super) fn all(parts: &Parts) -> Vec<Plot> {
    let mut plots = Vec::new();
    if let Some(results) = &parts.requests {
        let bars = results.figures.iter().map(|figure| {
            let above = (figure.nanos.median - figure.floor_nanos.median) / 1_000.0;
            let Figure {
                subject,
                operation,
                size,
                ..
            } = figure;
            Bar {
                label: format!("{subject} {operation}, {size}"),
                value: above,
            }
        });
        plots.push(Plot {
            file: "requests.svg",
            svg: bars_svg("µs that a session adds to a request", bars.collect(), None),
        });
    }
    let of_interest = |figure: &&Figure| {
        figure.bench == "stores"
            && figure.size == "small"
            && figure.subject != "memory"
            && figure.operation.starts_with("load")
    };
    let bars: Vec<Bar> = parts
        .figures()
        .filter(of_interest)
        .map(|figure| Bar {
            label: format!(
                "{} {}, {} at once",
                figure.subject, figure.operation, figure.tasks
            ),
            value: figure.ratio.median,
        })
        .collect();
    if !bars.is_empty() {
        let title = "times the raw operations of the backend (1 is the limit)";
        plots.push(Plot {
            file: "stores.svg",
            svg: bars_svg(title, bars, Some(1.0)),
        });
    }
    plots.extend(peers(parts));
    plots.extend(http(parts));
    plots
}

/// What each library adds to a request in process.
fn peers(parts: &Parts) -> Option<Plot> {
    let rows = super::peers::rows(parts.peers.as_ref()?, parts.requests.as_ref());
    let bars = rows.iter().flat_map(|(name, figures)| {
        let of_interest = figures
            .iter()
            .filter(|figure| figure.size == "small" && figure.operation != "untouched");
        of_interest.map(move |figure| Bar {
            label: format!("{name} {}", figure.operation),
            value: (figure.nanos.median - figure.floor_nanos.median) / 1_000.0,
        })
    });
    let title = "µs that a library adds to a request, small sessions in memory";
    Some(Plot {
        file: "peers.svg",
        svg: bars_svg(title, bars.collect(), None),
    })
}

/// The share of the bare framework's requests a second that each program answers.
fn http(parts: &Parts) -> Option<Plot> {
    let of_interest = |load: &&Load| load.program != load.floor && load.path != "/plain";
    let bars: Vec<Bar> = parts
        .loads()
        .filter(of_interest)
        .map(|load| Bar {
            label: format!("{} {} over {}", load.program, load.path, load.store),
            value: load.ratio.median,
        })
        .collect();
    let title = "requests a second, times the bare framework's (1 is the limit)";
    (!bars.is_empty()).then(|| Plot {
        file: "http.svg",
        svg: bars_svg(title, bars, Some(1.0)),
    })
}

struct Bar {
    label: String,
    value: f64,
}

const WIDTH: u32 = 900;
const ROW: u32 = 22;
const INK: RGBColor = RGBColor(0x55, 0x60, 0x6b);
const FILL: RGBColor = RGBColor(0x2a, 0x9d, 0x8f);
const LINE: RGBColor = RGBColor(0xe7, 0x6f, 0x51);

/// Bars lying under one another, each with its label before and its value behind it.
fn bars_svg(title: &str, bars: Vec<Bar>, line: Option<f64>) -> String {
    let mut svg = String::new();
    let height = 48 + ROW * bars.len() as u32;
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let most = bars
            .iter()
            .map(|bar| bar.value)
            .fold(line.unwrap_or(0.0), f64::max);
        let (left, right) = (330.0, f64::from(WIDTH) - 70.0);
        let x = |value: f64| (left + (right - left) * value.max(0.0) / most.max(1e-9)) as i32;
        let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
        let drawn = (|| {
            area.draw(&Text::new(title.to_owned(), (10, 12), text(16)))?;
            for (number, bar) in bars.iter().enumerate() {
                let top = 40 + ROW as i32 * number as i32;
                let shape = [(x(0.0), top + 2), (x(bar.value), top + ROW as i32 - 4)];
                area.draw(&Rectangle::new(shape, FILL.filled()))?;
                area.draw(&Text::new(bar.label.clone(), (10, top + 3), text(13)))?;
                let value = format!("{:.2}", bar.value);
                area.draw(&Text::new(value, (x(bar.value) + 6, top + 3), text(13)))?;
            }
            if let Some(line) = line {
                let ends = [(x(line), 36), (x(line), height as i32 - 6)];
                area.draw(&PathElement::new(ends.to_vec(), LINE.stroke_width(2)))?;
            }
            area.present()
        })();
        drawn.expect("a string takes every drawing");
    }
    svg
}
