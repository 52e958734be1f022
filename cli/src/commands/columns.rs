//! Text in aligned columns.

/// Returns a table: a line for the header and one for each row. The last column has no padding.
///
/// Control characters become spaces, because a name with an escape sequence could rewrite the
/// terminal. The width of a cell is its number of characters.
pub(in crate::commands) fn columns<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
) -> String {
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(
        rows.iter()
            .map(|row| row.each_ref().map(|cell| printable(cell))),
    );
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<_> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn printable(cell: &str) -> String {
    cell.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_width_of_their_longest_cell() {
        let rows = [["Tomás", "1", "x"], ["Al", "10", "\u{1b}[2J\tb"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            columns(["NAME", "N", "WHY"], &rows),
            "NAME   N   WHY\nTomás  1   x\nAl     10   [2J b\n"
        );
        assert_eq!(columns(["A"], &[]), "A\n");
    }
}
