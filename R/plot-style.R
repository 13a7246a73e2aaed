# What the pictures share in base graphics: colours, frames, points of any number, labels of any
# length.

# Colours that colour-blind readers tell apart (Okabe and Ito); grey for what stands behind.
picture_colours <- list(
  point = "grey25", line = "#0072B2", smooth = "#D55E00", second = "#56B4E9", rule = "grey55",
  group = "grey60"
)

faint <- function(colour, alpha) grDevices::adjustcolor(colour, alpha)

# From how many points on they are drawn as counts in cells.
most_points <- 20000L

# Up to how many levels are named.
most_labels <- 40L

# An empty frame on a new page (unless `page` is FALSE) with a title and a note below it. `given`:
# what the user gave for frame or points. `axes`: the sides that get a usual axis.
open_panel <- function(x, y, xlab, ylab, title, note = NULL, given = list(), axes = 1:2, log = "",
                       page = TRUE) {
  or <- function(name, value) if (is.null(given[[name]])) value else given[[name]]
  if (page) graphics::plot.new()
  x <- or("xlim", range(x, finite = TRUE))
  graphics::plot.window(x, or("ylim", range(y, finite = TRUE)), log = log)
  if (1 %in% axes) graphics::Axis(x, side = 1, tcl = -0.3, mgp = c(2.4, 0.6, 0))
  if (2 %in% axes) graphics::axis(2, las = 1, tcl = -0.3, mgp = c(2.4, 0.6, 0))
  graphics::box(bty = "l")
  graphics::title(xlab = or("xlab", xlab), line = 2.4)
  label_upright(or("ylab", ylab))
  graphics::title(or("main", title),
    adj = 0, line = if (is.null(note)) 0.8 else 1.6, font.main = 1, cex.main = 1.1
  )
  if (!is.null(note)) {
    graphics::mtext(note, adj = 0, line = 0.4, cex = 0.75 * graphics::par("cex"), col = "grey40")
  }
}

# The label of the vertical axis, left of the longest number.
label_upright <- function(label) {
  if (is.character(label) && !nzchar(label)) {
    return(invisible())
  }
  ticks <- format(graphics::axTicks(2), trim = TRUE)
  if (graphics::par("ylog")) ticks <- "10^-10"
  width <- max(graphics::strwidth(ticks, "inches")) / (graphics::par("csi") * graphics::par("mex"))
  graphics::title(ylab = label, line = min(1.6 + width, graphics::par("mar")[2L] - 1))
}

# Points in the open frame: solid ones that shine through each other, smaller the more there are,
# and beyond `most_points` cells shaded by their number.
draw_points <- function(x, y, given = list(), colour = picture_colours$point) {
  if (length(x) > most_points) {
    return(draw_cells(cells_of(x, y)))
  }
  style <- list(x = x, y = y, pch = 19, col = faint(colour, point_alpha(length(x))),
                cex = point_size(length(x)))
  own <- intersect(names(given), c("pch", "col", "bg", "cex", "lwd"))
  style[own] <- given[own]
  do.call(graphics::points, style)
}

point_alpha <- function(n) if (n <= 300L) 0.7 else if (n <= 3000L) 0.45 else 0.25

point_size <- function(n) if (n <= 300L) 0.7 else if (n <= 3000L) 0.5 else 0.35

# Counts of points in the cells of a grid: centres, size of a cell, number.
cells_of <- function(x, y, across = 160L, up = 100L) {
  seen <- is.finite(x) & is.finite(y)
  column <- cell_number(x[seen], across)
  row <- cell_number(y[seen], up)
  counts <- tabulate(column$cell + across * (row$cell - 1L), across * up)
  filled <- which(counts > 0L)
  data.frame(
    x = column$low + column$width * ((filled - 1L) %% across + 0.5),
    y = row$low + row$width * ((filled - 1L) %/% across + 0.5),
    width = column$width, height = row$width, count = counts[filled]
  )
}

cell_number <- function(x, n) {
  low <- min(x)
  width <- (max(x) - low) / n
  if (width == 0) width <- 1
  list(cell = pmin(as.integer((x - low) / width) + 1L, n), low = low, width = width)
}

draw_cells <- function(cells) {
  shade <- log(cells$count) / max(log(cells$count), 1)
  graphics::rect(
    cells$x - cells$width / 2, cells$y - cells$height / 2, cells$x + cells$width / 2,
    cells$y + cells$height / 2, col = grDevices::grey(0.85 - 0.7 * shade), border = NA
  )
}

# What says how to read cells; nothing for points.
cells_note <- function(n) {
  if (n > most_points) {
    paste0(format(n, big.mark = ","), " points, counted in cells: the darker, the more")
  }
}

# One point of those that would fall on the same spot.
seen_points <- function(x, y, across = 1000L, up = 600L) {
  if (length(x) <= most_points) {
    return(seq_along(x))
  }
  spot <- cell_number(x, across)$cell + across * (cell_number(y, up)$cell - 1L)
  which(!duplicated(spot))
}

draw_band <- function(x, lower, upper, colour = picture_colours$line, alpha = 0.18) {
  graphics::polygon(c(x, rev(x)), c(lower, rev(upper)), col = faint(colour, alpha), border = NA)
}

# The left margin that horizontal labels need, no more than half of the picture; the labels, cut
# where they are longer; and their size, so that none covers the next.
label_space <- function(labels, across = 0.45) {
  pin <- graphics::par("pin")
  line <- graphics::par("csi") * graphics::par("mex")
  cex <- min(0.8, 0.95 * pin[2L] / (length(labels) * graphics::par("csi")))
  cex <- max(cex, 0.3)
  room <- across * graphics::par("fin")[1L] - line
  width <- function(labels) graphics::strwidth(labels, "inches", cex)
  long <- which(width(labels) > room)
  keep <- nchar(labels[long])
  for (k in seq_along(long)) {
    text <- labels[long[k]]
    while (keep[k] > 1L && width(paste0(substr(text, 1L, keep[k]), "...")) > room) {
      keep[k] <- keep[k] - 1L
    }
    labels[long[k]] <- paste0(substr(text, 1L, keep[k]), "...")
  }
  list(labels = labels, cex = cex, margin = max(width(labels)) / line + 1.2)
}

row_alpha <- function(n) max(0.08, min(0.5, 150 / n))

# Estimates with intervals, one a row, from below. `labels` NULL: too many to name.
draw_rows <- function(estimate, lower, upper, labels, xlab, ylab, title, note = NULL,
                      given = list()) {
  n <- length(estimate)
  # The size of letters is known only on a page.
  graphics::plot.new()
  if (!is.null(labels)) {
    space <- label_space(labels)
    before <- graphics::par("mar")
    graphics::par(mar = c(before[1L], max(2.1, space$margin), before[3:4]))
    on.exit(graphics::par(mar = before))
  }
  open_panel(
    c(lower, upper, 0), c(0.5, n + 0.5), xlab, if (is.null(labels)) ylab else "", title, note,
    given, axes = 1, page = FALSE
  )
  graphics::abline(v = 0, lty = 3, col = picture_colours$rule)
  rows <- seq_len(n)
  many <- n > most_labels
  graphics::segments(lower, rows, upper, rows,
    col = if (many) faint(picture_colours$line, row_alpha(n)) else picture_colours$line,
    lwd = if (many) 0.6 else 1.5
  )
  style <- list(x = estimate, y = rows, pch = 19, cex = if (many) 0.25 else 0.8,
                col = if (many) "grey10" else picture_colours$line)
  own <- intersect(names(given), c("pch", "col", "bg", "cex", "lwd"))
  style[own] <- given[own]
  do.call(graphics::points, style)
  if (!is.null(labels)) {
    graphics::axis(2, rows, space$labels, las = 1, cex.axis = space$cex, tick = FALSE, line = -0.6)
  }
}
