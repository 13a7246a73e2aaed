# ggplot2 objects of the panels of a fit.

#' @importFrom rlang .data
NULL

gg_scatter <- function(panel) {
  gg_panel(panel) + gg_rule(panel$rule) + gg_points(panel$points) +
    gg_line(panel$smooth, picture_colours$smooth, 0.9)
}

gg_qq <- function(panel) {
  band <- panel$band
  plot <- gg_panel(panel)
  if (is.null(band)) {
    plot <- plot + ggplot2::geom_abline(
      intercept = 0, slope = 1, linetype = 3, colour = picture_colours$rule
    )
  } else {
    all <- data.frame(x = band$x, lower = band$lower_all, upper = band$upper_all)
    plot <- plot + gg_band(all, 0.12) + gg_band(band, 0.22) +
      gg_line(data.frame(x = band$x, y = band$middle))
  }
  plot + gg_points(panel$points)
}

# Rows of all panels below each other on one axis, so that free scales show in each facet its own
# labels.
gg_random <- function(panels) {
  several <- length(panels) > 1L
  space <- 10
  base <- 0
  for (k in seq_along(panels)) {
    panel <- panels[[k]]
    panels[[k]]$rows$place <- base + seq_len(nrow(panel$rows))
    base <- base + nrow(panel$rows) + space
    panels[[k]]$rows$panel <- if (several) paste0(panel$group, ": ", panel$effect) else ""
    if (several && !panel$named) {
      panels[[k]]$rows$panel <- paste0(panels[[k]]$rows$panel, substring(panel$ylab,
        nchar(panel$group) + 1L
      ))
    }
  }
  rows <- do.call(rbind, lapply(panels, `[[`, "rows"))
  rows$panel <- factor(rows$panel, unique(rows$panel))
  named <- vapply(panels, `[[`, NA, "named")
  marked <- do.call(rbind, lapply(panels[named], `[[`, "rows"))
  sizes <- vapply(panels, function(panel) nrow(panel$rows), 0L)
  many <- max(sizes) > most_labels
  plot <- ggplot2::ggplot(rows, ggplot2::aes(.data$estimate, .data$place)) + picture_theme() +
    gg_upright(0) +
    ggplot2::geom_segment(
      ggplot2::aes(x = .data$lower, xend = .data$upper, yend = .data$place),
      colour = picture_colours$line, alpha = if (many) row_alpha(max(sizes)) else 1,
      linewidth = if (many) 0.25 else 0.6
    ) +
    ggplot2::geom_point(
      colour = if (many) "grey10" else picture_colours$line, size = if (many) 0.3 else 1.6,
      shape = 16
    ) +
    ggplot2::scale_y_continuous(
      breaks = marked$place, labels = vapply(as.character(marked$label), shorten, "", 40L),
      expand = ggplot2::expansion(add = if (many) space / 2 - 1 else 0.6)
    ) +
    ggplot2::labs(
      x = if (several) paste0("Conditional mode", unit_of(panels[[1L]])) else panels[[1L]]$xlab,
      y = if (several || named[1L]) NULL else panels[[1L]]$ylab,
      title = if (several) "Random effects" else panels[[1L]]$title, subtitle = panels[[1L]]$note
    ) +
    ggplot2::theme(
      panel.grid.major.y = ggplot2::element_blank(), axis.ticks.y = ggplot2::element_blank(),
      axis.text.y = ggplot2::element_text(size = ggplot2::rel(if (max(sizes[named], 0L) > 20L) {
        0.65
      } else {
        0.85
      }))
    )
  if (several) plot + ggplot2::facet_wrap(ggplot2::vars(.data$panel), scales = "free") else plot
}

unit_of <- function(panel) substring(panel$xlab, nchar(panel$effect) + 1L)

gg_effects <- function(panel) {
  rows <- panel$rows
  rows$place <- seq_len(nrow(rows))
  gg_panel(panel) + gg_upright(0) +
    ggplot2::geom_segment(
      ggplot2::aes(x = .data$lower, xend = .data$upper, y = .data$place, yend = .data$place), rows,
      colour = picture_colours$line, linewidth = 0.6
    ) +
    ggplot2::geom_point(
      ggplot2::aes(.data$estimate, .data$place), rows, colour = picture_colours$line, size = 2
    ) +
    ggplot2::scale_y_continuous(
      breaks = rows$place, labels = vapply(rows$label, shorten, "", 40L), minor_breaks = NULL,
      expand = ggplot2::expansion(add = 0.6)
    ) +
    ggplot2::labs(y = NULL) +
    ggplot2::theme(
      panel.grid.major.y = ggplot2::element_blank(), axis.ticks.y = ggplot2::element_blank()
    )
}

gg_marginal <- function(panel) {
  line <- panel$line
  points <- panel$points
  groups <- panel$groups
  if (panel$discrete) {
    points$x <- as.integer(points$x) + spread(nrow(points))
    line$x <- as.integer(line$x)
  } else if (!is.null(groups)) {
    # Of the class of the predictor: a date, say.
    groups$x <- line$x[match(groups$x, as.numeric(line$x))]
  }
  plot <- gg_panel(panel) + gg_points(points, picture_colours$rule)
  if (!is.null(groups)) {
    plot <- plot + ggplot2::geom_line(
      ggplot2::aes(.data$x, .data$y, group = .data$group), groups,
      colour = picture_colours$second, linewidth = 0.35,
      alpha = group_alpha(length(unique(groups$group)))
    )
  }
  if (!panel$discrete) {
    return(plot + gg_band(line) + gg_line(data.frame(x = line$x, y = line$estimate), width = 1))
  }
  levels <- levels(panel$line$x)
  plot +
    ggplot2::geom_linerange(
      ggplot2::aes(.data$x, ymin = .data$lower, ymax = .data$upper), line,
      colour = picture_colours$line, linewidth = 1.1
    ) +
    ggplot2::geom_point(
      ggplot2::aes(.data$x, .data$estimate), line, colour = picture_colours$line, size = 2.4
    ) +
    ggplot2::scale_x_continuous(
      breaks = seq_along(levels), labels = levels, minor_breaks = NULL,
      limits = c(0.6, length(levels) + 0.4), guide = ggplot2::guide_axis(check.overlap = TRUE)
    )
}

# A ggplot for each grouping factor, a facet for each pair.
gg_pairs <- function(panels) {
  groups <- vapply(panels, `[[`, "", "group")
  lapply(unique(groups), function(group) {
    own <- panels[groups == group]
    several <- length(own) > 1L
    bind <- function(what) {
      do.call(rbind, lapply(own, function(panel) cbind(panel[[what]], pair = panel$pair)))
    }
    points <- bind("points")
    plot <- gg_panel(own[[1L]]) + gg_rule(0) + gg_upright(0) +
      ggplot2::geom_polygon(
        ggplot2::aes(.data$x, .data$y), bind("ellipse"),
        fill = faint(picture_colours$line, 0.1), colour = picture_colours$line, linewidth = 0.4
      ) +
      gg_points(points)
    if (own[[1L]]$named) {
      plot <- plot + ggplot2::geom_text(
        ggplot2::aes(.data$x, .data$y, label = .data$label), points,
        size = 2.7, vjust = -0.7, colour = "grey30", check_overlap = TRUE
      )
    }
    if (!several) {
      return(plot)
    }
    plot + ggplot2::facet_wrap(ggplot2::vars(.data$pair), scales = "free") +
      ggplot2::labs(x = NULL, y = NULL)
  })
}

gg_trace <- function(panel) {
  rows <- panel$rows
  ticks <- decades(rows$above)
  gg_panel(panel) +
    ggplot2::geom_line(
      ggplot2::aes(.data$iteration, .data$above), rows, colour = picture_colours$line
    ) +
    ggplot2::geom_point(
      ggplot2::aes(.data$iteration, .data$above), rows, colour = picture_colours$line,
      shape = ifelse(rows$estimated, 21, 19), fill = "white", size = 2
    ) +
    ggplot2::scale_y_log10(
      breaks = 10^ticks, labels = parse(text = paste0("10^", ticks)), minor_breaks = NULL
    ) +
    ggplot2::scale_x_continuous(breaks = function(limits) {
      whole <- pretty(limits, 6L)
      whole[whole == round(whole)]
    })
}
