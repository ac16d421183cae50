//! People read per day, as bars in SVG. Drawn on no background, in colours that hold on light and dark.

use plotters::prelude::{ChartBuilder, Color, IntoDrawingArea, RGBColor, Rectangle, SVGBackend, Text};
use plotters::style::{IntoFont, TextStyle};

use super::contents::Error;

const WIDTH: u32 = 860;
const HEIGHT: u32 = 260;
const BAR: RGBColor = RGBColor(63, 124, 172);
const INK: RGBColor = RGBColor(120, 130, 142);

/// Draws the bars. `days`: a label and a number each.
///
/// # Errors
/// The drawing library's.
pub fn people_by_day(days: &[(String, u64)]) -> Result<String, Error> {
    let mut svg = String::new();
    draw(&mut svg, days).map_err(|error| Error::Chart(error.to_string()))?;
    // Scales with the page.
    Ok(svg.replacen(&format!("width=\"{WIDTH}\" height=\"{HEIGHT}\" "), "role=\"img\" aria-hidden=\"true\" ", 1))
}

fn draw(svg: &mut String, days: &[(String, u64)]) -> Result<(), Box<dyn std::error::Error>> {
    let most = days.iter().map(|(_, people)| *people).max().unwrap_or(0).max(1);
    #[allow(clippy::cast_precision_loss, reason = "pixels")]
    let scale = |people: u64| people as f64 / most as f64;
    let area = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    let count = f64::from(u32::try_from(days.len()).unwrap_or(u32::MAX));
    let mut chart = ChartBuilder::on(&area).margin(8).build_cartesian_2d(0.0..count, -0.16..1.14)?;
    let small = || TextStyle::from(("sans-serif", 13).into_font()).color(&INK);
    for (index, (day, people)) in days.iter().enumerate() {
        let left = f64::from(u32::try_from(index).unwrap_or(u32::MAX));
        let bar = Rectangle::new([(left + 0.14, 0.0), (left + 0.86, scale(*people))], BAR.filled());
        chart.draw_series(std::iter::once(bar))?;
        let above = Text::new(grouped(*people), (left + 0.14, scale(*people) + 0.1), small());
        chart.draw_series(std::iter::once(above))?;
        chart.draw_series(std::iter::once(Text::new(day.clone(), (left + 0.14, -0.04), small())))?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// `20031` → `20,031`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let shown: Vec<String> = [0, 999, 1_000, 20_031, 1_234_567].map(grouped).to_vec();
        assert_eq!(shown, ["0", "999", "1,000", "20,031", "1,234,567"]);
    }

    #[test]
    fn a_chart_scales_and_shows_every_day() {
        let days: Vec<(String, u64)> = (0..7).map(|day| (format!("day {day}"), day * 100)).collect();
        let svg = people_by_day(&days).expect("drawn");
        assert!(svg.starts_with("<svg role=\"img\""), "{}", &svg[..60]);
        for (day, _) in &days {
            assert!(svg.contains(day.as_str()), "{day}");
        }
    }
}
