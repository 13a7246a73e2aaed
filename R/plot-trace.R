# How the search for the optimum went.

# Iterations with a criterion still above the optimum. The last one, which is the optimum itself,
# stands at the distance to the minimum that its Newton decrement estimates.
trace_of <- function(fit) {
  trace <- fit$convergence$trace
  if (length(trace) < 2L) {
    return(NULL)
  }
  above <- trace - min(trace)
  # Below this there is only rounding.
  floor <- max(.Machine$double.eps * max(1, abs(min(trace))), fit$convergence$decrement)
  data.frame(
    iteration = seq_along(trace) - 1L, above = pmax(above, floor),
    estimated = seq_along(trace) == length(trace)
  )
}

trace_picture <- function(fit) {
  rows <- trace_of(fit)
  new_picture("trace", list(list(
    rows = rows, xlab = "Iteration", ylab = "Criterion above its minimum",
    title = "Convergence",
    note = paste0(
      sub("^(.)", "\\U\\1", fit$convergence$status, perl = TRUE), " after ",
      counted(fit$convergence$evaluations, "evaluation"),
      "; open circle: distance estimated by the Newton decrement"
    )
  )))
}

draw_trace <- function(panel, given) {
  rows <- panel$rows
  open_panel(rows$iteration, rows$above, panel$xlab, panel$ylab, panel$title, panel$note, given,
             axes = NULL, log = "y")
  ticks <- decades(rows$above)
  graphics::axis(2, 10^ticks, parse(text = paste0("10^", ticks)), las = 1, tcl = -0.3,
                 mgp = c(2.4, 0.6, 0))
  whole <- pretty(rows$iteration, 6L)
  graphics::axis(1, whole[whole == round(whole)], tcl = -0.3, mgp = c(2.4, 0.6, 0))
  graphics::lines(rows$iteration, rows$above, col = picture_colours$line)
  style <- list(x = rows$iteration, y = rows$above, pch = ifelse(rows$estimated, 21, 19),
                bg = "white", col = picture_colours$line)
  own <- intersect(names(given), c("pch", "col", "bg", "cex", "lwd"))
  style[own] <- given[own]
  do.call(graphics::points, style)
}

# Powers of ten for the ticks of a log axis, eight at most.
decades <- function(x) {
  ends <- c(floor(log10(min(x))), ceiling(log10(max(x))))
  seq(ends[1L], ends[2L], by = max(1, ceiling(diff(ends) / 8)))
}
