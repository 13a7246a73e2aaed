# Random effects: their conditional modes with intervals, and two of them against each other.

# One panel an effect: rows sorted by mode.
random_picture <- function(fit, level) {
  effects <- as.data.frame(ranef.pp_fit(fit))
  quantile <- stats::qnorm(0.5 + level / 2)
  order <- unique(effects[c("grpvar", "term")])
  panels <- lapply(seq_len(nrow(order)), function(k) {
    own <- effects[effects$grpvar == order$grpvar[k] & effects$term == order$term[k], ]
    own <- own[order(own$condval), ]
    group <- order$grpvar[k]
    levels <- nrow(own)
    list(
      rows = data.frame(
        label = as.character(own$grp), estimate = own$condval,
        lower = own$condval - quantile * own$condsd, upper = own$condval + quantile * own$condsd
      ),
      group = group, effect = as.character(order$term[k]), named = levels <= most_labels,
      xlab = paste0(order$term[k], random_unit(fit)),
      ylab = paste0(group, " (", format(levels, big.mark = ","), " levels)"),
      title = paste0("Random effects of ", group, ": ", order$term[k]),
      note = paste0("Conditional modes with ", format(100 * level), "% intervals")
    )
  })
  new_picture("random", panels)
}

# Modes of a generalised model are on the scale of the link.
random_unit <- function(fit) if (inherits(fit, "pp_glmm")) paste0(" (", fit$family$link, ")")

draw_random <- function(panel, given) {
  rows <- panel$rows
  draw_rows(
    rows$estimate, rows$lower, rows$upper, if (panel$named) rows$label, panel$xlab, panel$ylab,
    panel$title, panel$note, given
  )
}

# Pairs -------------------------------------------------------------------------------------------

# Grouping factors with two effects or more.
paired_groups <- function(fit) {
  groups <- vapply(fit$random, function(term) term$group, "")
  sizes <- vapply(fit$random, function(term) length(term$columns), 0L)
  wanted <- unique(groups)
  wanted[vapply(wanted, function(group) sum(sizes[groups == group]) > 1L, NA)]
}

# One panel a pair of effects of a grouping factor: modes and the ellipse that holds the share
# `level` of levels drawn from the estimated covariance.
pairs_picture <- function(fit, level) {
  random <- ranef.pp_fit(fit, condVar = FALSE)
  panels <- unlist(lapply(paired_groups(fit), function(group) {
    pairs_of_group(fit, group, random[[group]], level)
  }), recursive = FALSE)
  new_picture("pairs", panels)
}

pairs_of_group <- function(fit, group, modes, level) {
  own <- vapply(fit$random, function(term) term$group == group, NA)
  scale <- random_scale(fit)
  factor <- as.matrix(Matrix::bdiag(lapply(unname(fit$Lambda[own]), function(L) scale * L)))
  names <- names(modes)
  pairs <- utils::combn(length(names), 2L)
  lapply(seq_len(ncol(pairs)), function(k) {
    at <- pairs[, k]
    points <- data.frame(x = modes[[at[1L]]], y = modes[[at[2L]]], label = row.names(modes))
    covariance <- tcrossprod(factor[at, , drop = FALSE])
    list(
      points = points, ellipse = ellipse_of(covariance, level), group = group,
      named = nrow(points) <= most_labels / 2,
      pair = paste(names[at[2L]], "by", names[at[1L]]),
      xlab = paste0(names[at[1L]], random_unit(fit)),
      ylab = paste0(names[at[2L]], random_unit(fit)),
      title = paste0("Random effects of ", group),
      note = paste0("Conditional modes; ellipse of ", format(100 * level),
                    "% of levels by the estimated covariance")
    )
  })
}

# b' S^-1 b = the quantile of chi-squared with two degrees of freedom; a line where S is singular.
ellipse_of <- function(S, level) {
  angle <- seq(0, 2 * pi, length.out = 181L)
  circle <- sqrt(stats::qchisq(level, 2)) * rbind(cos(angle), sin(angle))
  root <- eigen(S, symmetric = TRUE)
  border <- root$vectors %*% (sqrt(pmax(root$values, 0)) * circle)
  data.frame(x = border[1L, ], y = border[2L, ])
}

draw_pairs <- function(panel, given) {
  points <- panel$points
  open_panel(
    c(points$x, panel$ellipse$x), c(points$y, panel$ellipse$y), panel$xlab, panel$ylab,
    panel$title, panel$note, given
  )
  graphics::abline(h = 0, v = 0, lty = 3, col = picture_colours$rule)
  graphics::polygon(panel$ellipse,
    col = faint(picture_colours$line, 0.1), border = picture_colours$line
  )
  draw_points(points$x, points$y, given)
  if (panel$named) {
    graphics::text(points$x, points$y, points$label, pos = 3, offset = 0.35, cex = 0.65,
                   col = "grey30", xpd = NA)
  }
}
