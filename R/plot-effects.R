# Forest plot of effects with their intervals, in base graphics.

#' Forest plot of effects
#'
#' One row an effect: a segment for its interval and a point for its estimate, with a dashed line at
#' zero. An effect whose interval is above zero has the first colour, one below zero the second, the
#' others are grey.
#'
#' The margin grows with the labels, up to 45% of the width of the figure; longer ones are
#' shortened, and with many rows the letters get smaller.
#'
#' @param fit A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it; a table of
#'   [effects_table()]; or a data frame with the columns `term`, `estimate`, `conf.low` and
#'   `conf.high`.
#' @param plus_minus_colors Two colours: of effects above and below zero.
#' @param line_alpha Opacity of the segments, between 0 and 1. Default 0.6.
#' @param markersize Diameter of the points, in points. Default 8.
#' @param center_zero `TRUE` (default) has zero in the middle of the axis.
#' @param print_ylabels `FALSE` leaves out the names of the effects. Default `TRUE`.
#' @param first Where the first effect stands: at the `"bottom"` (default) or at the `"top"`.
#' @param level Coverage of the intervals. Default 0.95, or what the fit of a matrix was made with.
#' @param ddf Degrees of freedom, as in [summary()][summary.pp_lmm]. Default `NULL`: those of the
#'   summary.
#' @param intercept `TRUE` shows the intercept too. Default `FALSE`.
#' @param xlab,main Labels of the axis and of the figure. Default none.
#' @param ... Further arguments of [graphics::plot.window()], such as `xlim`.
#' @return The data drawn, invisibly: a data frame with the columns `term`, `estimate`, `conf.low`,
#'   `conf.high`, `y` (the height of the row) and `colour`.
#' @section Errors: Nothing to draw and wrong arguments are of class `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' plot_effects(fit)
#'
#' herds <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
#' plot_effects(herds, first = "top", xlab = "effect on the log odds")
#' @export
plot_effects <- function(fit, ...) UseMethod("plot_effects")

#' @rdname plot_effects
#' @export
plot_effects.pp_fit <- function(fit, plus_minus_colors = NULL, line_alpha = 0.6, markersize = 8,
                                center_zero = TRUE, print_ylabels = TRUE,
                                first = c("bottom", "top"), level = NULL, ddf = NULL,
                                intercept = FALSE, xlab = "", main = "", ...) {
  if (is.null(level)) level <- if (is.null(fit$intervals)) 0.95 else fit$intervals$level
  if (is.null(ddf)) ddf <- fit$intervals$ddf
  table <- coefficient_intervals(fit, ddf, level)
  table <- cbind(term = rownames(table), table)
  if (!check_flag(intercept, "intercept")) table <- table[!is_intercept(table$term), ]
  if (!nrow(table)) {
    pp_abort("argument", c(
      x = "The fit has no effect to draw{if (intercept) '' else ' besides the intercept'}.",
      ">" = if (!intercept) "{.code intercept = TRUE} draws the intercept."
    ))
  }
  plot_effects.data.frame(table, plus_minus_colors, line_alpha, markersize, center_zero,
    print_ylabels, first,
    xlab = xlab, main = main, ...
  )
}

#' @rdname plot_effects
#' @export
plot_effects.data.frame <- function(fit, plus_minus_colors = NULL, line_alpha = 0.6, markersize = 8,
                                    center_zero = TRUE, print_ylabels = TRUE,
                                    first = c("bottom", "top"), xlab = "", main = "", ...) {
  first <- choose_option(first, c("bottom", "top"), "first")
  center_zero <- check_flag(center_zero, "center_zero")
  print_ylabels <- check_flag(print_ylabels, "print_ylabels")
  markersize <- check_positive(markersize, "markersize")
  colours <- effect_colours(plus_minus_colors)
  check_opacity(line_alpha)
  table <- drawn_effects(fit, colours, first)
  draw_forest(table, line_alpha, markersize, center_zero, print_ylabels, xlab, main, ...)
  invisible(table)
}

# Of a term with several columns the rows of its contrasts say more than the mean of them.
#' @rdname plot_effects
#' @export
plot_effects.pp_effects <- function(fit, ..., intercept = FALSE) {
  table <- as.data.frame(unclass(fit))
  table$term <- as.character(table$term)
  if (!check_flag(intercept, "intercept")) table <- table[!is_intercept(table$term), ]
  if (!is.null(table$contrast)) {
    detailed <- table$term[!is.na(table$contrast)]
    table <- table[!is.na(table$contrast) | !table$term %in% detailed, ]
    # A contrast that begins with its term needs no label of the term.
    named <- which(startsWith(ifelse(is.na(table$contrast), "", table$contrast), table$term))
    table$term[named] <- table$contrast[named]
    table$contrast[named] <- NA
  }
  plot_effects.data.frame(table, ...)
}

#' @rdname plot_effects
#' @export
plot_effects.default <- function(fit, ...) {
  pp_abort("argument", c(
    x = "{.arg fit} must be a fit or a table of effects.",
    i = "It is {.obj_type_friendly {fit}}."
  ))
}

effect_colours <- function(plus_minus_colors) {
  if (is.null(plus_minus_colors)) {
    return(c(plus = "#FF2C00", minus = "#61A4CD", none = "#808080"))
  }
  known <- length(plus_minus_colors) == 2L && !anyNA(plus_minus_colors) && tryCatch(
    is.matrix(grDevices::col2rgb(plus_minus_colors)),
    error = function(e) FALSE
  )
  if (!known) {
    pp_abort("argument", c(
      x = "{.arg plus_minus_colors} must be two colours.",
      ">" = "Such as {.code c(\"firebrick\", \"steelblue\")}."
    ))
  }
  c(plus = unname(plus_minus_colors[1L]), minus = unname(plus_minus_colors[2L]), none = "#808080")
}

check_opacity <- function(line_alpha) {
  inside <- is.numeric(line_alpha) && length(line_alpha) == 1L && abs(line_alpha - 0.5) <= 0.5
  if (!isTRUE(inside)) {
    pp_abort("argument", c(
      x = "{.arg line_alpha} must be one number from 0 to 1.", i = "It is {.val {line_alpha}}."
    ))
  }
}

# The rows with an estimate, their heights and colours. An effect without interval is grey.
drawn_effects <- function(table, colours, first) {
  needed <- c("term", "estimate", "conf.low", "conf.high")
  absent <- setdiff(needed, names(table))
  if (length(absent)) {
    pp_abort("argument", c(
      x = "The table of effects must have the columns {.var {needed}}.",
      i = "It has no {.var {absent}}."
    ))
  }
  drawn <- data.frame(lapply(unclass(table)[needed], as.vector))
  drawn$term <- effect_labels(table)
  drawn <- drawn[is.finite(drawn$estimate), , drop = FALSE]
  if (!nrow(drawn)) {
    pp_abort("argument", c(x = "No effect of the table has an estimate: there is nothing to draw."))
  }
  row.names(drawn) <- NULL
  heights <- seq_len(nrow(drawn)) - 1
  drawn$y <- if (first == "bottom") heights else rev(heights)
  sign <- ifelse(drawn$conf.low > 0, "plus", ifelse(drawn$conf.high < 0, "minus", "none"))
  drawn$colour <- unname(colours[ifelse(is.na(sign), "none", sign)])
  drawn
}

# Tables with several rows a term name the contrast in a column of its own.
effect_labels <- function(table) {
  labels <- as.character(table$term)
  contrast <- intersect(c("contrast", "level"), names(table))
  if (length(contrast)) {
    detail <- as.character(table[[contrast[1L]]])
    shown <- !is.na(detail) & nzchar(detail)
    labels[shown] <- paste0(labels[shown], ": ", detail[shown])
  }
  labels
}

draw_forest <- function(drawn, line_alpha, markersize, center_zero, print_ylabels, xlab, main, xlim,
                        ...) {
  rows <- nrow(drawn)
  graphics::plot.new()
  cex <- label_size(rows)
  labels <- if (print_ylabels) fitting_labels(drawn$term, cex) else rep("", rows)
  line <- graphics::par("csi")
  old <- graphics::par(mai = c(
    line * (if (nzchar(xlab)) 3.2 else 2.2), label_width(labels, cex) + 0.8 * line,
    line * (if (nzchar(main)) 2.2 else 0.6), 0.8 * line
  ))
  on.exit(graphics::par(old))
  if (missing(xlim)) xlim <- effect_range(drawn, center_zero)
  graphics::par(new = TRUE)
  graphics::plot.new()
  graphics::plot.window(xlim, c(-0.5, rows - 0.5), xaxs = "i", yaxs = "i", ...)
  graphics::abline(v = 0, lty = 2, col = "grey50")
  graphics::segments(drawn$conf.low, drawn$y, drawn$conf.high, drawn$y,
    col = grDevices::adjustcolor(drawn$colour, line_alpha), lwd = 2, lend = 1
  )
  # The diameter of pch 19 at cex 1 is three eighths of the height of a line.
  points <- markersize / (0.375 * 72 * graphics::par("cin")[2L] * graphics::par("cex"))
  graphics::points(drawn$estimate, drawn$y, pch = 19, cex = points, col = drawn$colour)
  graphics::axis(1, mgp = c(2, 0.6, 0), tcl = -0.35)
  graphics::axis(1, xlim, labels = FALSE, lwd.ticks = 0)
  graphics::axis(2, drawn$y, labels,
    las = 1, tick = FALSE, cex.axis = cex, line = -0.6, gap.axis = -1
  )
  graphics::title(xlab = xlab, line = 2)
  graphics::title(main = main, line = 0.6)
}

# Zero is always on the axis.
effect_range <- function(drawn, center_zero) {
  ends <- range(0, drawn$estimate, drawn$conf.low, drawn$conf.high, finite = TRUE)
  if (ends[1L] == ends[2L]) ends <- c(-1, 1)
  if (center_zero) {
    return(c(-1.1, 1.1) * max(abs(ends)))
  }
  ends + c(-0.05, 0.05) * diff(ends)
}

# Letters as high as a row allows, not below 40% of their size.
label_size <- function(rows) {
  height <- graphics::par("fin")[2L] - 3 * graphics::par("csi")
  min(1, max(0.4, height / (rows * 1.15 * graphics::par("csi"))))
}

label_width <- function(labels, cex) {
  max(0, graphics::strwidth(labels, units = "inches", cex = cex))
}

fitting_labels <- function(labels, cex) {
  room <- 0.45 * graphics::par("fin")[1L] - 0.8 * graphics::par("csi")
  vapply(labels, function(label) {
    length <- keep <- nchar(label)
    shown <- label
    while (keep > 4L && label_width(shown, cex) > room) {
      keep <- keep - 1L
      # Long names often differ at their ends.
      end <- (keep - 3L) %/% 3L
      shown <- paste0(
        substring(label, 1L, keep - 3L - end), "...", substring(label, length - end + 1L)
      )
    }
    shown
  }, "", USE.NAMES = FALSE)
}
