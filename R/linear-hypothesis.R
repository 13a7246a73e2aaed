# Tests of linear hypotheses about the fixed effects: a joint test and one for each row.

#' Test linear hypotheses about the fixed effects
#'
#' Tests `L beta = rhs` for any number of contrasts of the fixed effects at once, and each of them
#' alone with its estimate, standard error and confidence interval.
#'
#' As text, a hypothesis is written with the names of the coefficients: `"Days = 10"`,
#' `"B1 - B2 = 0"`, `"2 * Days + (Intercept)"` (without `=`, the value is `rhs`). Names that are not
#' syntactic R names may be quoted by backticks; where that is unambiguous they need not be, so that
#' `"(Intercept)"`, `"A2:x"` and `"I(x^2)"` can be written as they are printed. Only `+`, `-`, `*`,
#' `/`, parentheses and numbers are understood: text is read, never evaluated as code.
#'
#' The joint test is an F test whose denominator degrees of freedom follow `ddf`, or a chi-square
#' test. It depends on the space that the rows of `L` span, and not on their order, their size or
#' the coding of factors; redundant rows are counted once. By Satterthwaite's method the hypothesis
#' is turned into uncorrelated single ones, as the lmerTest package does, of rows that are
#' orthonormal in the metric of the model matrix.
#'
#' @param fit A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param L A matrix with a row a contrast and a column a coefficient (in the order of [coef()], or
#'   named like them: coefficients that are not named have weight zero); a vector, which is one
#'   contrast, named or not; or character strings.
#' @param rhs The values under the hypothesis, one number or one a row. Default 0.
#' @param ddf Denominator degrees of freedom, as in [summary.pp_lmm()]: `"satterthwaite"`,
#'   `"kenward-roger"`, `"residual"`, `"none"`. Default `NULL`: what `summary()` of the fit uses.
#' @param test `"F"` or `"Chisq"`, for the joint test. Default: `"F"` where there are degrees of
#'   freedom.
#' @param p.adjust A method of [stats::p.adjust()] for the p-values of the single contrasts. Default
#'   `"none"`. Confidence intervals are not adjusted.
#' @param level Coverage of the intervals, between 0 and 1. Default 0.95.
#' @return A data frame of class `c("pp_hypothesis", "data.frame")` with a row a contrast and the
#'   columns `term` (the contrast in words), `estimate`, `rhs`, `std.error`, `df`, `statistic` (of
#'   the difference from `rhs`), `p.value`, `conf.low`, `conf.high`. Its attribute `"joint"` is a
#'   data frame of one row: `statistic`, `num.df`, `den.df`, `p.value`; `"test"`, `"ddf"` and
#'   `"p.adjust"` name the methods. A contrast of a coefficient that runs to infinity (separation),
#'   or that was given and not estimated, is `NA`.
#' @section Errors: A coefficient that does not exist, was dropped from the fit as a linear
#'   combination of others, or cannot be read, is of class `partialpool_error_argument`, and so are
#'   options that do not exist and hypotheses that contradict each other.
#' @references Kuznetsova, Brockhoff and Christensen (2017), lmerTest package: tests in linear mixed
#'   effects models, Journal of Statistical Software 82(13). Kenward and Roger (1997), Small sample
#'   inference for fixed effects from restricted maximum likelihood, Biometrics 53, 983-997.
#' @seealso [anova.pp_lmm()] for tests of terms.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' linear_hypothesis(fit, "Days = 10")
#' linear_hypothesis(fit, c("Days", "(Intercept) = 250"), ddf = "kenward-roger")
#' linear_hypothesis(fit, rbind("day 0" = c(1, 0), "day 9" = c(1, 9)), p.adjust = "holm")
#' @export
linear_hypothesis <- function(fit, L, rhs = 0, ddf = NULL, test = NULL, p.adjust = "none",
                              level = 0.95) {
  check_level(level)
  p.adjust <- choose_option(p.adjust, stats::p.adjust.methods, "p.adjust")
  inference <- inference(fit, ddf)
  test <- if (is.null(test)) {
    if (inference$ddf == "none") "Chisq" else "F"
  } else {
    choose_option(test, c("F", "Chisq"), "test")
  }
  hypothesis <- read_hypothesis(L, rhs, names(inference$coefficients), fit$aliased)
  L <- hypothesis$L
  single <- contrast_table(inference, L, level)
  single$statistic <- (single$estimate - hypothesis$rhs) / single$std.error
  p <- 2 * stats::pt(-abs(single$statistic), single$df)
  joint <- joint_test(inference, L, hypothesis$rhs, test)
  table <- data.frame(
    term = rownames(L), estimate = single$estimate, rhs = hypothesis$rhs,
    single[c("std.error", "df", "statistic")], p.value = stats::p.adjust(p, p.adjust),
    single[c("conf.low", "conf.high")], row.names = NULL
  )
  structure(table,
    joint = joint, test = test, ddf = inference$ddf, p.adjust = p.adjust, level = level,
    class = c("pp_hypothesis", "data.frame")
  )
}

# L beta = rhs is L (beta - b) = 0 with any b that solves it.
joint_test <- function(inference, L, rhs, test) {
  joint <- inference$joint(L, if (any(rhs != 0)) particular_solution(L, rhs) else 0)
  if (test == "Chisq") {
    chisq <- joint$chisq
    return(data.frame(
      statistic = chisq, num.df = joint$num, den.df = Inf,
      p.value = stats::pchisq(chisq, joint$num, lower.tail = FALSE)
    ))
  }
  data.frame(
    statistic = joint$statistic, num.df = joint$num, den.df = joint$den, p.value = joint$p
  )
}

particular_solution <- function(L, rhs) {
  size <- sqrt(rowSums(L^2))
  size[size == 0] <- 1
  scaled <- L / size
  b <- qr.coef(qr(scaled), rhs / size)
  b[is.na(b)] <- 0
  b <- drop(b)
  if (max(abs(scaled %*% b - rhs / size)) > 1e-7 * max(abs(rhs / size))) {
    pp_abort("argument", c(
      x = "The hypotheses contradict each other: no coefficients fulfil all of them.",
      ">" = "Leave out rows of {.arg L} that depend on others, or change {.arg rhs}."
    ))
  }
  b
}

#' @param x A `"pp_hypothesis"`.
#' @param digits Significant digits to print.
#' @param ... Not used.
#' @rdname linear_hypothesis
#' @export
print.pp_hypothesis <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  method <- switch(attr(x, "ddf"),
    satterthwaite = "Satterthwaite's df", "kenward-roger" = "Kenward-Roger",
    residual = "residual df", none = "z tests"
  )
  cat("Linear hypotheses (", method, ")\n", sep = "")
  print_joint(attr(x, "joint"), attr(x, "test"), digits)
  table <- as.data.frame(x)
  z <- attr(x, "ddf") == "none"
  cells <- data.frame(
    Estimate = format_number(table$estimate, digits),
    "Std. Error" = format_number(table$std.error, digits),
    check.names = FALSE
  )
  if (any(table$rhs != 0)) cells <- cbind(cells, Value = format_number(table$rhs, digits))
  if (!z) cells <- cbind(cells, df = format_number(table$df, digits))
  tests <- data.frame(
    statistic = format_number(table$statistic, max(3L, digits - 1L)),
    p = format.pval(table$p.value, digits = max(2L, digits - 2L), eps = .Machine$double.eps),
    low = format_number(table$conf.low, digits), high = format_number(table$conf.high, digits)
  )
  tails <- 100 * c(1 - attr(x, "level"), 1 + attr(x, "level")) / 2
  names(tests) <- c(
    if (z) "z value" else "t value", if (z) "Pr(>|z|)" else "Pr(>|t|)",
    paste(format(tails, trim = TRUE, digits = 3L), "%")
  )
  cells <- as.matrix(cbind(cells, tests))
  rownames(cells) <- vapply(table$term, shorten, "", width = 32L)
  cat("\n")
  print(cells, quote = FALSE, right = TRUE)
  if (attr(x, "p.adjust") != "none") {
    cat("p-values adjusted by the method ", attr(x, "p.adjust"), "\n", sep = "")
  }
  invisible(x)
}

format_number <- function(x, digits) format(zapsmall(x, digits + 2L), digits = digits)

print_joint <- function(joint, test, digits) {
  statistic <- format(joint$statistic, digits = digits)
  df <- format(joint$den.df, digits = digits)
  p <- format.pval(joint$p.value, digits = max(2L, digits - 2L), eps = .Machine$double.eps)
  if (!startsWith(p, "<")) p <- paste("=", p)
  if (test == "F") {
    cat("Joint test: F(", joint$num.df, ", ", df, ") = ", statistic, ", p ", p, "\n", sep = "")
  } else {
    cat("Joint test: Chisq(", joint$num.df, ") = ", statistic, ", p ", p, "\n", sep = "")
  }
}
