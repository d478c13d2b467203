//! Tables for people: columns as wide as what stands in them.

/// The head and each row as a line.
pub fn lines<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> (String, Vec<String>) {
    let head = head.map(String::from);
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: &[String; N]| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        String::from(cells.join("  ").trim_end())
    };
    (line(&head), rows.iter().map(line).collect())
}

/// Bytes as a person reads them: `4.2 MiB`.
pub fn mib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let size = bytes as f64 / f64::from(1 << 20);
    format!("{size:.1} MiB")
}
