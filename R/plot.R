# Pictures of a fit: which there are, and their drawing in base graphics.

#' Plot a fit
#'
#' Pictures of a fit: `plot()` draws them in base graphics, `autoplot()` makes the same as ggplot2
#' objects, from the same numbers.
#'
#' The pictures, by number and name, are
#'
#' 1. `"residuals"`: residuals against fitted values, with a smooth line;
#' 2. `"qq"`: normal quantiles of the residuals, with bands by simulation;
#' 3. `"random"`: conditional modes of the random effects with intervals, sorted (a caterpillar
#'    plot), a panel for each effect;
#' 4. `"scale-location"`: root of the size of the residuals against fitted values;
#' 5. `"effects"`: fixed effects with intervals (a forest plot; see also [plot_effects()]);
#' 6. `"marginal"`: response by a predictor, the others held, with partial residuals and a line for
#'    each group;
#' 7. `"pairs"`: random effects of a group against each other, with the ellipse of their estimated
#'    covariance;
#' 8. `"trace"`: the criterion above its minimum, iteration by iteration.
#'
#' **Residuals** of a fit by [lmm()] are scaled; those of a fit by [glmm()], [kernel_lmm()] or
#' [kernel_glmm()] are randomised quantile residuals (drawn with a fixed seed), which are standard
#' normal if the model holds, and stand against the linear predictor or the latent variable. Those
#' of a quasi family are Pearson's, scaled.
#'
#' **Bands of quantiles.** Random effects take up a part of the residuals, so that these scatter
#' less than a normal sample does. `nsim` responses are drawn from the fit with a fixed seed, the
#' model is fitted to each, and the quantiles of their residuals give a mean line, a pointwise band
#' of 95% (dark) and a simultaneous one (light), which holds 95% of the simulated curves whole.
#' Points outside of the light band speak against the model. For more than 2000 rows the bands are
#' those of independent normal residuals with the root mean square of the ones seen. Up to
#' there, there are none for quasi families and kernel models of other than normal responses.
#'
#' **Marginal effects** are predictions for a group whose random effects are zero, with other
#' predictors at their mean or, for factors, at their first level, and an offset at its mean. The
#' points are partial residuals: where the rows would be with the other predictors held there, which
#' without other predictors are the responses. They include the random effects, unless
#' `group` is `FALSE`. Up to 200 groups have lines, each over the values it has in the data; groups
#' with one value have none. For models with zero inflation or truncation the mean is that of the
#' distribution before it.
#'
#' More than 20,000 points are counted in the cells of a grid, more than 40 levels go without their
#' names.
#'
#' @param x,object A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param which Pictures wanted, by number or name. Default: the first three, as far as the fit has
#'   them.
#' @param level Coverage of intervals, bands and ellipses, between 0 and 1. Default 0.95.
#' @param ask `TRUE` waits for a key before each page. Default: on a screen that has no room for all
#'   panels.
#' @param term For `"marginal"`: names of predictors, or of columns of the model frame such as
#'   `"log(x)"`. Default all predictors whose values the fit stores, a panel each.
#' @param group For `"marginal"`: the grouping factor whose levels have lines, or `FALSE` for none
#'   and points without random effects.
#'   Default the one with a slope of the predictor, else the first.
#' @param scale For `"marginal"`: the scale of the response (default) or of the link.
#' @param nsim For `"qq"`: number of simulated responses. Default 99; 0 for no bands.
#' @param data For `"marginal"`: the data of the fit; needed where a predictor stands only inside a
#'   function of which the fit stores no more than the value, such as `poly(x, 2)`.
#' @param type Another name for `which`.
#' @param ... For `plot()`: graphical parameters of the points, such as `col` or `pch`, and of the
#'   frame (`main`, `xlab`, `ylab`, `xlim`, `ylim`). For `autoplot()` not used; anything given here
#'   is an error.
#' @return `plot()`: the fit, invisibly. `autoplot()`: a `ggplot` object; of several pictures a list
#'   of them, of class `"pp_pictures"`, which draws them one after the other when it is printed.
#' @section Errors: A picture that there is not, or that this fit does not have, a `term` or `group`
#'   that is none of the fit, and `autoplot()` without ggplot2 are of class
#'   `partialpool_error_argument`.
#' @references Dunn and Smyth (1996), Randomized quantile residuals, Journal of Computational and
#'   Graphical Statistics 5, 236-244.
#'
#'   Myllymaki, Mrkvicka, Grabarnik, Seijo and Hahn (2017), Global envelope tests for spatial
#'   processes, Journal of the Royal Statistical Society B 79, 381-404.
#' @seealso [plot.pp_scan()] for scans of markers.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' plot(fit, which = "qq")
#' plot(fit, which = "random")
#' plot(fit, which = "marginal", term = "Days")
#' if (requireNamespace("ggplot2", quietly = TRUE)) ggplot2::autoplot(fit, "pairs")
#' @importFrom graphics plot
#' @export
plot.pp_fit <- function(x, which = 1:3, level = 0.95, ask = NULL, term = NULL, group = NULL,
                        scale = c("response", "link"), nsim = 99, data = NULL, ...) {
  which <- if (missing(which)) usual_pictures(x) else choose_pictures(which, x)
  options <- list(
    level = level, term = term, group = group, scale = scale, nsim = nsim, data = data
  )
  draw_pictures(make_pictures(x, which, options), ask, list(...))
  invisible(x)
}

#' @rdname plot.pp_fit
#' @export
plot.pp_kernel_fit <- function(x, which = 1:2, level = 0.95, ask = NULL, nsim = 99, ...) {
  which <- if (missing(which)) usual_pictures(x) else choose_pictures(which, x)
  draw_pictures(make_pictures(x, which, list(level = level, nsim = nsim)), ask, list(...))
  invisible(x)
}

# Which pictures ----------------------------------------------------------------------------------

# In the order of their numbers.
picture_names <- c(
  "residuals", "qq", "random", "scale-location", "effects", "marginal", "pairs", "trace"
)

# Those that a fit has.
available_pictures <- function(fit) {
  if (inherits(fit, "pp_kernel_traits")) {
    return(character())
  }
  kernel <- inherits(fit, "pp_kernel_fit")
  has <- c(
    residuals = TRUE, qq = TRUE, random = !kernel && has_random(fit), "scale-location" = TRUE,
    effects = length(fit$coefficients) > 0L,
    marginal = !kernel && length(fit$coefficients) > 0L && length(predictors_of(fit)) > 0L,
    pairs = !kernel && has_random(fit) && length(paired_groups(fit)) > 0L,
    trace = !is.null(trace_of(fit))
  )
  names(has)[has]
}

usual_pictures <- function(fit) {
  has <- intersect(picture_names[1:3], available_pictures(fit))
  if (!length(has)) choose_pictures(1:3, fit)
  has
}

choose_pictures <- function(which, fit) {
  at <- if (is.numeric(which)) {
    match(which, seq_along(picture_names))
  } else if (is.character(which)) {
    pmatch(which, picture_names, duplicates.ok = TRUE)
  } else {
    NA
  }
  if (!length(at) || anyNA(at)) {
    last <- length(picture_names)
    pp_abort("argument", c(
      x = "{.arg which} must hold names of pictures, or their numbers from 1 to {last}.",
      i = if (is.atomic(which) && length(which)) "It is {.val {which}}."
        else "It is {.obj_type_friendly {which}}.",
      i = "The pictures are {.val {picture_names}}.",
      ">" = if (inherits(which, "formula")) {
        "Pictures by a formula, as lme4 has them, are drawn from {.code augment(fit)}, such as by
         ggplot2."
      }
    ))
  }
  wanted <- unique(picture_names[at])
  has <- available_pictures(fit)
  lost <- setdiff(wanted, has)
  if (length(lost)) {
    pp_abort("argument", c(
      x = "{cli::qty(length(lost))}There {?is/are} no picture{?s} {.or {.val {lost}}} of this fit.",
      i = if (length(has)) "It has {.val {has}}." else "Fits to several traits have no pictures.",
      ">" = if (!length(has)) "Use {.fn residuals} and {.fn fitted}, which are matrices."
    ))
  }
  wanted
}

# What a picture shows, without how: its kind and a list of panels, each of the numbers to draw and
# the texts of axes and title.
new_picture <- function(kind, panels) list(kind = kind, panels = panels)

make_pictures <- function(fit, which, options) {
  check_level(options$level)
  nsim <- if (identical(as.numeric(options$nsim), 0)) 0L else check_count(options$nsim, "nsim")
  lapply(which, function(kind) {
    switch(kind,
      residuals = residuals_picture(fit),
      qq = qq_picture(fit, nsim),
      random = random_picture(fit, options$level),
      "scale-location" = scale_location_picture(fit),
      effects = effects_picture(fit, options$level),
      marginal = marginal_picture(
        fit, options$term, options$level, options$group, options$scale, options$data
      ),
      pairs = pairs_picture(fit, options$level),
      trace = trace_picture(fit)
    )
  })
}

# Drawing -----------------------------------------------------------------------------------------

# `given`: graphical parameters of the user.
draw_pictures <- function(pictures, ask, given) {
  panels <- sum(vapply(pictures, function(picture) length(picture$panels), 0L))
  if (is.null(ask)) ask <- prod(graphics::par("mfcol")) < panels && grDevices::dev.interactive()
  if (check_flag(ask, "ask")) {
    before <- grDevices::devAskNewPage(TRUE)
    on.exit(grDevices::devAskNewPage(before))
  }
  for (picture in pictures) {
    draw <- switch(picture$kind,
      residuals = , "scale-location" = draw_scatter, qq = draw_qq, random = draw_random,
      effects = draw_effects, marginal = draw_marginal, pairs = draw_pairs, trace = draw_trace,
      manhattan = draw_manhattan, "scan-qq" = draw_scan_qq
    )
    for (panel in picture$panels) draw(panel, given)
  }
}
