# ggplot2 objects of scans.

gg_manhattan <- function(panel) {
  points <- panel$points
  plot <- gg_panel(panel) +
    ggplot2::geom_point(
      ggplot2::aes(.data$x, .data$y), points, shape = 16,
      colour = ifelse(points$odd, "grey25", picture_colours$line),
      size = 2 * scan_point_size(nrow(points))
    ) +
    ggplot2::geom_hline(
      yintercept = panel$threshold, linetype = 2, colour = picture_colours$smooth
    ) +
    ggplot2::geom_text(
      ggplot2::aes(.data$x, .data$y, label = .data$label), panel$hits, size = 2.7, vjust = -0.7
    ) +
    ggplot2::scale_y_continuous(
      limits = c(0, NA), expand = ggplot2::expansion(mult = c(0.01, 0.08))
    ) +
    ggplot2::coord_cartesian(clip = "off")
  if (is.null(panel$ticks)) {
    return(plot)
  }
  plot + ggplot2::scale_x_continuous(
    breaks = panel$ticks$x, labels = panel$ticks$label, minor_breaks = NULL,
    expand = ggplot2::expansion(mult = 0.01),
    guide = ggplot2::guide_axis(check.overlap = TRUE)
  ) + ggplot2::theme(
    panel.grid.major.x = ggplot2::element_blank(), axis.ticks.x = ggplot2::element_blank()
  )
}

gg_scan_qq <- function(panel) {
  gg_panel(panel) + gg_band(panel$band) +
    ggplot2::geom_abline(intercept = 0, slope = 1, colour = picture_colours$line) +
    gg_points(panel$points)
}
