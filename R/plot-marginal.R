# The marginal effect of a predictor: its line with the others held, partial residuals around it,
# and a line for each group.

# Up to how many groups have a line.
most_lines <- 200L

# Variables of the fixed effects, as the user wrote them: those in functions too.
predictors_of <- function(fit) {
  terms <- stats::delete.response(fit$terms)
  factors <- attr(terms, "factors")
  if (!length(factors)) {
    return(character())
  }
  used <- rowSums(factors > 0) > 0
  variables <- as.list(attr(terms, "variables"))[-1L]
  unique(unlist(lapply(variables[used], function(v) {
    # A column of the frame, or variables inside of one
    if (is.symbol(v)) as.character(v) else all.vars(v)
  })))
}

marginal_picture <- function(fit, term, level, group, scale, data) {
  known <- predictors_of(fit)
  wanted <- if (is.null(term)) known else term
  names <- c(known, variable_names(stats::delete.response(fit$terms)))
  if (!is.character(wanted) || !length(wanted) || !all(wanted %in% names)) {
    pp_abort("argument", c(
      x = "{.arg term} must name predictors of the fit.",
      i = "It is {.val {term}}.", i = "The predictors are {.val {known}}."
    ))
  }
  scale <- choose_option(scale, c("response", "link"), "scale")
  check_line_group(group, names(n_groups(fit)))
  if (!is.null(data)) data <- rows_of_data(data, fit)
  if (is.null(term)) {
    # Not the degree of a polynomial, say; if none is left, values_of() says what to do.
    drawn <- Filter(function(name) has_values(fit, name, data), wanted)
    wanted <- if (length(drawn)) drawn else wanted[1L]
  }
  new_picture("marginal", lapply(wanted, function(name) {
    marginal_panel(fit, name, level, group, scale, data)
  }))
}

check_line_group <- function(group, known) {
  if (!is.null(group) && !isFALSE(group) && !(length(group) == 1L && group %in% known)) {
    pp_abort("argument", c(
      x = "{.arg group} must be a grouping factor of the fit, or {.code FALSE} for no lines.",
      i = "It is {.val {group}}.",
      i = if (length(known)) "The fit has {.val {known}}." else "The fit has none."
    ))
  }
}

# The rows of `data` that were fitted.
rows_of_data <- function(data, fit) {
  at <- match(row.names(fit$frame), row.names(data))
  if (!is.data.frame(data) || anyNA(at)) {
    pp_abort("argument", c(
      x = "{.arg data} must be the data frame of the fit.",
      i = if (is.data.frame(data)) "Rows of the fit are not among its rows."
    ))
  }
  data[at, , drop = FALSE]
}

has_values <- function(fit, name, data) name %in% names(fit$frame) || name %in% names(data)

values_of <- function(fit, name, data) {
  value <- if (name %in% names(fit$frame)) fit$frame[[name]] else data[[name]]
  if (is.null(value) || is.matrix(value)) {
    inside <- if (is.null(value)) "The fit stores what it is turned into, not the variable itself."
      else "It has {ncol(value)} columns."
    pp_abort("argument", c(
      x = "There are no values of {.var {name}} to draw.", i = inside,
      ">" = if (is.null(value)) "Give the data of the fit as {.arg data}."
    ))
  }
  if (is.character(value) || is.logical(value)) factor(value) else value
}

marginal_panel <- function(fit, name, level, group, scale, data) {
  x <- values_of(fit, name, data)
  discrete <- is.factor(x)
  at <- if (discrete) {
    factor(levels(x)[tabulate(x, nlevels(x)) > 0L], levels = levels(x))
  } else {
    seq(min(x), max(x), length.out = 101L)
  }
  grid <- rows_at(fit, name, at, data)
  to_scale <- if (scale == "response" && !is.null(fit$family)) fit$family$linkinv else identity
  table <- contrast_table(inference(fit), grid$X, level)
  line <- data.frame(
    x = at, estimate = to_scale(table$estimate + grid$offset),
    lower = to_scale(table$conf.low + grid$offset), upper = to_scale(table$conf.high + grid$offset)
  )
  # An inverse link may fall.
  line[c("lower", "upper")] <- list(pmin(line$lower, line$upper), pmax(line$lower, line$upper))
  group <- group_of_lines(fit, name, group)
  lines <- if (!is.null(group)) group_lines(fit, grid, group, x, to_scale)
  panel <- list(
    line = line, points = partial_residuals(fit, name, x, data, scale, !is.null(group)),
    groups = lines,
    discrete = discrete, xlab = labelled(name, x), ylab = marginal_label(fit, scale),
    title = paste0("Marginal effect of ", name),
    note = paste(c(
      paste0(format(100 * level), if (discrete) "% intervals" else "% band"),
      if (length(predictors_of(fit)) > 1L) "other predictors at their mean or reference level",
      if (!is.null(lines)) paste0("thin lines: ", group)
    ), collapse = "; ")
  )
  many <- cells_note(nrow(panel$points))
  if (!is.null(many)) panel$note <- paste0(panel$note, "; points counted in cells")
  panel
}

# A label or units that came with the data, as Hmisc and units leave them, go to the axis.
labelled <- function(name, x) {
  label <- attr(x, "label", exact = TRUE)
  text <- if (is.character(label) && length(label) == 1L && nzchar(label)) label else name
  units <- attr(x, "units", exact = TRUE)
  units <- tryCatch(if (is.null(units)) "" else as.character(units)[1L], error = function(e) "")
  if (nzchar(units)) paste0(text, " (", units, ")") else text
}

# Rows where the predictor has given values ------------------------------------------------------

# X (m x p), z of each random term, and the offset, with all other variables at their reference.
rows_at <- function(fit, name, at, data) {
  terms <- stats::delete.response(fit$terms)
  reference <- c(as.list(fit$frame), as.list(data)[setdiff(names(data), names(fit$frame))])
  X <- columns_at(terms, fit$xlevels, fit$contrasts, reference, name, at)
  z <- lapply(fit$random, function(term) {
    if (is.null(term$z)) {
      return(NULL)
    }
    columns_at(term$z_terms, term$z_xlevels, term$z_contrasts, reference, name, at)[
      , term$columns, drop = FALSE
    ]
  })
  offset <- if (is.null(fit$offset)) 0 else mean(fit$offset)
  list(X = X[, colnames(fit$X), drop = FALSE], z = z, offset = offset)
}

columns_at <- function(terms, xlevels, contrasts, reference, name, at) {
  variables <- as.list(attr(terms, "variables"))[-1L]
  predvars <- as.list(attr(terms, "predvars"))[-1L]
  if (!length(predvars)) predvars <- variables
  names <- variable_names(terms)
  m <- length(at)
  frame <- lapply(seq_along(variables), function(k) {
    value <- if (names[k] == name) {
      at
    } else if (name %in% all.vars(variables[[k]])) {
      used <- setdiff(all.vars(variables[[k]]), name)
      held <- lapply(reference[intersect(used, names(reference))], reference_value)
      eval(predvars[[k]], c(stats::setNames(list(at), name), held), environment(terms))
    } else {
      reference_value(reference[[names[k]]], xlevels[[names[k]]])
    }
    if (names[k] %in% names(xlevels)) value <- refactor(value, xlevels[[names[k]]], names[k])
    repeated(value, m)
  })
  frame <- structure(frame, names = names, row.names = seq_len(m), class = "data.frame")
  attr(frame, "terms") <- terms
  newdata_matrix(terms, frame, contrasts)
}

# The mean of numbers, the first level of what is none.
reference_value <- function(x, levels = NULL) {
  if (is.matrix(x)) {
    return(matrix(colMeans(x), 1L, dimnames = list(NULL, colnames(x))))
  }
  if (!is.null(levels)) {
    return(factor(levels[1L], levels = levels))
  }
  if (is.factor(x)) {
    return(factor(levels(x)[1L], levels = levels(x)))
  }
  if (is.logical(x)) all(x) else if (is.character(x)) min(x) else mean(x)
}

repeated <- function(value, m) {
  if (is.matrix(value)) {
    return(if (nrow(value) == m) value else value[rep(1L, m), , drop = FALSE])
  }
  if (length(value) == m) value else rep(value, length.out = m)
}

# Points and lines --------------------------------------------------------------------------------

# Where the rows would be with the other predictors held: the line at their value, plus the residual
# and, unless the user wants no groups, the random effects. On the scale of the response of a
# generalised model the residual is brought to the variance at the new mean; if nothing had to be
# held, these are the responses.
partial_residuals <- function(fit, name, x, data, scale, with_groups) {
  own <- rows_at(fit, name, x, data)
  eta <- fitted_values(fit)
  random <- if (with_groups) eta - fixed_part(fit$X, fit$coefficients, fit$offset) else 0
  held <- as.vector(own$X %*% fit$coefficients) + own$offset + random
  y <- if (is.null(fit$family)) {
    held + fit$y - eta
  } else if (scale == "link") {
    held + working_residuals(fit, eta)
  } else {
    held_response(fit, held, eta)
  }
  data.frame(x = x, y = y)
}

held_response <- function(fit, held, eta) {
  family <- distribution_of(fit)
  p <- fitted_parameters(fit, eta)
  moved <- p
  moved$mu <- fit$family$linkinv(held)
  ratio <- sqrt(family$variance(moved) / family$variance(p))
  ratio[!is.finite(ratio)] <- 1
  moved$mu + ratio * (fit$y - p$mu)
}

# The factor whose groups have lines: one whose slope changes with the predictor, else the first.
group_of_lines <- function(fit, name, group) {
  if (isFALSE(group) || !has_random(fit)) {
    return(NULL)
  }
  if (!is.null(group)) {
    return(group)
  }
  sloped <- vapply(fit$random, function(term) {
    !is.null(term$z) && name %in% all.vars(attr(term$z_terms, "variables"))
  }, NA)
  fit$random[[if (any(sloped)) which(sloped)[1L] else 1L]]$group
}

# A line for each group over the values that it has in the data.
group_lines <- function(fit, grid, group, x, to_scale) {
  own <- which(vapply(fit$random, function(term) term$group == group, NA))
  codes <- fit$random[[own[1L]]]$codes
  levels <- fit$random[[own[1L]]]$levels
  shown <- seq_along(levels)
  if (length(shown) > most_lines) {
    shown <- unique(round(seq(1, length(levels), length.out = most_lines)))
  }
  common <- as.vector(grid$X %*% fit$coefficients) + grid$offset
  place <- if (is.factor(x)) as.integer(x) else as.numeric(x)
  at <- seq(min(place), max(place), length.out = length(common))
  if (is.factor(x)) at <- which(tabulate(x, nlevels(x)) > 0L)
  lowest <- tapply(place, factor(codes, seq_along(levels)), min)
  highest <- tapply(place, factor(codes, seq_along(levels)), max)
  lines <- lapply(shown, function(j) {
    inside <- at >= lowest[j] - 1e-9 & at <= highest[j] + 1e-9
    if (sum(inside) < 2L) {
      return(NULL)
    }
    eta <- common
    for (t in own) {
      eta <- eta + random_part(rep(j, length(common)), grid$z[[t]], fit$b[[t]])
    }
    data.frame(x = at[inside], y = to_scale(eta[inside]), group = levels[j])
  })
  do.call(rbind, lines)
}

# Labels ------------------------------------------------------------------------------------------

# The response in a word: of successes and failures their share, of a category its probability.
response_label <- function(fit) {
  expression <- fit$formula[[2L]]
  response <- fit$frame[[1L]]
  if (is.matrix(response) && is.call(expression) && length(expression) > 1L) {
    return(paste("Proportion of", label_of(expression[[2L]])))
  }
  values <- response_values(response)
  if (!is.null(values) && length(values) == 2L) {
    return(paste0("Probability of ", label_of(expression), " = ", values[2L]))
  }
  if (is.null(dim(response))) labelled(label_of(expression), response) else label_of(expression)
}

marginal_label <- function(fit, scale) {
  if (scale == "link" && !is.null(fit$family)) fitted_label(fit) else response_label(fit)
}

fitted_label <- function(fit) {
  if (is.null(fit$family)) {
    return(paste("Fitted values of", response_label(fit)))
  }
  paste0("Linear predictor (", fit$family$link, ")")
}

# Drawing -----------------------------------------------------------------------------------------

draw_marginal <- function(panel, given) {
  line <- panel$line
  points <- panel$points
  place <- function(x) if (panel$discrete) as.integer(x) else x
  ends <- if (panel$discrete) c(0.6, nlevels(line$x) + 0.4) else line$x
  open_panel(
    ends, c(line$lower, line$upper, points$y, panel$groups$y), panel$xlab, panel$ylab, panel$title,
    panel$note, given, axes = if (panel$discrete) 2 else 1:2
  )
  if (panel$discrete) draw_level_axis(levels(line$x))
  x <- place(points$x) + if (panel$discrete) spread(nrow(points)) else 0
  draw_points(x, points$y, given, picture_colours$rule)
  draw_group_lines(panel$groups)
  if (panel$discrete) {
    graphics::segments(place(line$x), line$lower, place(line$x), line$upper,
                       col = picture_colours$line, lwd = 3)
    graphics::points(place(line$x), line$estimate, pch = 19, col = picture_colours$line, cex = 1.2)
  } else {
    draw_band(line$x, line$lower, line$upper)
    graphics::lines(line$x, line$estimate, col = picture_colours$line, lwd = 2.5)
  }
}

draw_group_lines <- function(groups) {
  if (is.null(groups)) {
    return(invisible())
  }
  # One call for all: a gap between one group and the next.
  ends <- which(!duplicated(groups$group, fromLast = TRUE))
  x <- y <- rep(NA_real_, nrow(groups) + length(ends))
  kept <- seq_len(nrow(groups)) + cumsum(c(0L, utils::head(seq_len(nrow(groups)) %in% ends, -1L)))
  x[kept] <- groups$x
  y[kept] <- groups$y
  graphics::lines(x, y, col = faint(picture_colours$second, group_alpha(length(ends))), lwd = 0.8)
}

group_alpha <- function(n) if (n <= 40L) 0.9 else 0.4

# Sideways places of points of a level, spread evenly without chance.
spread <- function(n, width = 0.4) width * ((seq_len(n) * 0.61803398875) %% 1 - 0.5)

# Names of levels; aslant they would be hard to read: smaller, then every second.
draw_level_axis <- function(levels) {
  n <- length(levels)
  room <- graphics::par("pin")[1L] / n
  needed <- max(graphics::strwidth(levels, "inches")) * 1.1
  cex <- max(0.6, min(0.9, room / needed))
  step <- max(1L, ceiling(needed * cex / room))
  shown <- seq(1L, n, by = step)
  graphics::axis(1, seq_len(n), FALSE, tcl = -0.3)
  graphics::axis(1, shown, levels[shown], tick = FALSE, cex.axis = cex, mgp = c(2.4, 0.6, 0),
                 gap.axis = 0)
}
