# Pictures of a scan: p values along the genome, and their quantiles.

#' Plot a marker scan
#'
#' A Manhattan plot (p values by place, on a log scale) and a quantile plot of the p values, in base
#' graphics by `plot()` and as ggplot2 objects by `autoplot()`.
#'
#' The line of the Manhattan plot is the Bonferroni threshold, `level` divided by the number of
#' tests; the smallest p values below it are named, ten at most. Markers with a chromosome and a
#' position, as a `.bed` file has them, stand by position, others in their order. The quantile plot
#' compares the p values with those of no effect at all: the band holds each with 95% probability
#' if the tests are independent, and lambda is the genomic inflation factor of [summary.pp_scan()].
#' Points that fall on the same spot are drawn once.
#'
#' @param x,object A scan by [marker_scan()].
#' @param which `"manhattan"`, `"qq"` or both (default), or their numbers.
#' @param level Probability of any false positive that the threshold allows. Default 0.05.
#' @param ask `TRUE` waits for a key before each page. Default: on a screen that has no room for
#'   both.
#' @param type Another name for `which`.
#' @param ... For `plot()`: graphical parameters of the points, such as `pch`, and of the frame
#'   (`main`, `xlab`, `ylab`, `xlim`, `ylim`). For `autoplot()` not used; anything given here is an
#'   error.
#' @return `plot()`: the scan, invisibly. `autoplot()`: a `ggplot` object, or of both pictures a
#'   list of class `"pp_pictures"`.
#' @section Errors: A `which` that there is not, a scan without a p value and one whose results went
#'   to a file are of class `partialpool_error_argument`.
#' @seealso [marker_scan()], [plot.pp_fit()]
#' @examples
#' set.seed(1)
#' markers <- matrix(rbinom(100 * 300, 2, 0.3), 100)
#' fit <- kernel_lmm(markers[, 7] + rnorm(100), NULL, kernel(factor = scale(markers)))
#' scan <- marker_scan(fit, markers)
#' plot(scan, "manhattan")
#' plot(scan, "qq")
#' @export
plot.pp_scan <- function(x, which = c("manhattan", "qq"), level = 0.05, ask = NULL, ...) {
  draw_pictures(scan_pictures(x, which, level), ask, list(...))
  invisible(x)
}

#' @rdname plot.pp_scan
#' @exportS3Method ggplot2::autoplot
autoplot.pp_scan <- function(object, which = c("manhattan", "qq"), level = 0.05, type = which,
                             ...) {
  reject_dots(...)
  need_package()
  as_ggplots(scan_pictures(object, type, level))
}

scan_pictures <- function(scan, which, level) {
  known <- c("manhattan", "qq")
  at <- if (is.numeric(which)) match(which, 1:2) else pmatch(which, known)
  if (!length(at) || anyNA(at)) {
    pp_abort("argument", c(
      x = "{.arg which} must hold {.or {.val {known}}}, or their numbers.",
      i = "It is {.val {which}}."
    ))
  }
  check_level(level)
  file <- attr(scan, "file")
  if (!is.null(file)) {
    pp_abort("argument", c(
      x = "There is nothing to draw: the results of the scan are in {.file {file}}.",
      ">" = "Scan without {.arg file} for pictures."
    ))
  }
  if (!any(is.finite(scan$p))) {
    pp_abort("argument", c(x = "There is nothing to draw: the scan has no p value."))
  }
  lapply(known[at], function(kind) {
    if (kind == "qq") scan_qq_picture(scan) else manhattan_picture(scan, level)
  })
}

# Zero is a p value too small for a double.
log_p <- function(p) -log10(pmax(p, .Machine$double.xmin))

manhattan_picture <- function(scan, level) {
  tested <- which(is.finite(scan$p))
  place <- scan_places(scan)
  threshold <- level / length(tested)
  points <- data.frame(
    x = place$x[tested], y = log_p(scan$p[tested]), odd = place$odd[tested],
    label = as.character(scan[[intersect(c("marker", "set"), names(scan))[1L]]][tested])
  )
  hits <- named_hits(points, -log10(threshold))
  points <- points[seen_points(points$x, points$y), ]
  new_picture("manhattan", list(list(
    points = points, hits = hits, threshold = -log10(threshold), ticks = place$ticks,
    xlab = place$label, ylab = expression(-log[10](p)), title = "Scan",
    note = paste0(
      counted(length(tested), "test"), "; line: ", format(level), " by Bonferroni, p = ",
      format(threshold, digits = 2)
    )
  )))
}

# Where each row stands: chromosomes side by side, each by position; else in order.
scan_places <- function(scan) {
  n <- nrow(scan)
  if (is.null(scan[["chromosome"]])) {
    name <- if ("set" %in% names(scan)) "Set" else "Marker"
    return(list(x = seq_len(n), odd = rep(TRUE, n), label = name, ticks = NULL))
  }
  chromosome <- as.character(scan$chromosome)
  chromosomes <- chromosome_order(chromosome)
  code <- match(chromosome, chromosomes)
  position <- as.numeric(scan$position)
  if (!length(position) || anyNA(position)) {
    position <- stats::ave(seq_len(n), code, FUN = seq_along)
  }
  if (length(chromosomes) == 1L) {
    large <- max(position) > 1e5
    label <- paste0("Position on chromosome ", chromosomes, if (large) " (Mb)" else " (bp)")
    x <- if (large) position / 1e6 else position
    return(list(x = x, odd = rep(TRUE, n), label = label, ticks = NULL))
  }
  first <- tapply(position, code, min)
  size <- tapply(position, code, max) - first
  gap <- 0.01 * max(sum(size), 1)
  start <- cumsum(c(0, utils::head(size + gap, -1L)))
  list(
    x = position - first[code] + start[code], odd = code %% 2L == 1L, label = "Chromosome",
    ticks = data.frame(x = as.numeric(start + size / 2), label = chromosomes)
  )
}

# By number, then by name: 1, 2, ..., 22, X, Y.
chromosome_order <- function(chromosome) {
  names <- unique(chromosome)
  number <- suppressWarnings(as.numeric(sub("^chr", "", names, ignore.case = TRUE)))
  names[order(number, names)]
}

# The smallest p values above the line, none beside another.
named_hits <- function(points, line, most = 10L) {
  above <- which(points$y >= line)
  above <- above[order(-points$y[above])]
  near <- 0.04 * diff(range(points$x))
  kept <- integer()
  for (k in utils::head(above, 1000L)) {
    if (length(kept) == most) break
    if (!any(abs(points$x[kept] - points$x[k]) < near)) kept <- c(kept, k)
  }
  points[kept, ]
}

draw_manhattan <- function(panel, given) {
  points <- panel$points
  ticks <- panel$ticks
  open_panel(
    points$x, c(0, 1.06 * max(points$y, panel$threshold)), panel$xlab, panel$ylab, panel$title,
    panel$note, given, axes = if (is.null(ticks)) 1:2 else 2
  )
  colour <- ifelse(points$odd, "grey25", picture_colours$line)
  style <- list(x = points$x, y = points$y, pch = 19, cex = scan_point_size(nrow(points)),
                col = colour)
  own <- intersect(names(given), c("pch", "col", "bg", "cex", "lwd"))
  style[own] <- given[own]
  do.call(graphics::points, style)
  graphics::abline(h = panel$threshold, lty = 2, col = picture_colours$smooth)
  if (nrow(panel$hits)) {
    graphics::text(panel$hits$x, panel$hits$y, panel$hits$label, pos = 3, offset = 0.3, cex = 0.65,
                   xpd = NA)
  }
  if (!is.null(ticks)) {
    graphics::axis(1, ticks$x, ticks$label, tick = FALSE, cex.axis = 0.8, mgp = c(2.4, 0.3, 0))
  }
}

scan_point_size <- function(n) if (n <= 1000L) 0.6 else if (n <= 10000L) 0.45 else 0.3

# Quantiles ---------------------------------------------------------------------------------------

scan_qq_picture <- function(scan) {
  p <- sort(scan$p[is.finite(scan$p)])
  n <- length(p)
  at <- seq_len(n)
  # Of many ranks those that differ on the log scale
  if (n > 2000L) at <- unique(c(1:500, round(exp(seq(log(501), log(n), length.out = 1500L)))))
  band <- data.frame(
    x = -log10(stats::ppoints(n)[at]), lower = log_p(stats::qbeta(0.975, at, n + 1 - at)),
    upper = log_p(stats::qbeta(0.025, at, n + 1 - at))
  )
  new_picture("scan-qq", list(list(
    points = data.frame(x = band$x, y = log_p(p[at])), band = band, lambda = inflation(p),
    xlab = expression("Expected " * -log[10](p)), ylab = expression("Observed " * -log[10](p)),
    title = "Quantiles of p values",
    note = paste0(
      "Genomic inflation factor lambda = ", format(round(inflation(p), 3), nsmall = 3),
      "; 95% band of each quantile without effects"
    )
  )))
}

draw_scan_qq <- function(panel, given) {
  points <- panel$points
  band <- panel$band
  open_panel(
    c(0, points$x), c(0, points$y, band$upper[1L]), panel$xlab, panel$ylab, panel$title,
    panel$note, given
  )
  draw_band(band$x, band$lower, band$upper)
  graphics::abline(0, 1, col = picture_colours$line)
  draw_points(points$x, points$y, given)
}
