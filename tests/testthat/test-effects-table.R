p <- probe()
probe_fit <- lmm(y ~ A + B + x + A:x + (1 | g), p)
finn <- function() quietly(lmm(finn_formula, finn_factors()))
term_row <- function(table, term) table[table$term == term & is.na(table$contrast), ]
finn_terms <- c(
  "categorical_factor_A", "categorical_factor_B", "continous_factor_A",
  "categorical_factor_A:continous_factor_A", "(Intercept)"
)

test_that("row 4: the coefficients as fitted give FiNN's table, the intercept last", {
  table <- effects_table(finn(), coding = "fitted", test = "Chisq")
  expect_s3_class(table, c("pp_effects", "data.frame"), exact = TRUE)
  expect_equal(table$term, finn_terms)
  expect_equal(
    table$statistic,
    c(2473.7537323903, 1.8869235354, 10.6288383380, 0.8439514699, 53.4477653288),
    tolerance = 1e-8
  )
  expect_equal(table$df, rep(1L, 5))
  expect_equal(table$p.value[2:4], c(0.1695493248, 0.001113376, 0.3582690885), tolerance = 1e-6)
  expect_equal(table$estimate,
    c(0.81588592501, -0.02224523735, 0.03715327773, -0.01483046737, 0.10239796652),
    tolerance = 1e-9
  )
  expect_equal(table$std.error,
    c(0.01640405474, 0.01619421472, 0.01139604704, 0.01614344063, 0.01400640101),
    tolerance = 1e-8
  )
})

test_that("rows 5 and 6: contrasts are honoured, type III does not depend on the coding", {
  fit <- finn()
  sums <- list(categorical_factor_A = contr.sum, categorical_factor_B = "contr.sum")
  table <- effects_table(fit, contrasts = sums, test = "Chisq")
  x <- term_row(table, "continous_factor_A")
  expect_equal(x$statistic, 13.573535725, tolerance = 1e-8)
  expect_equal(x$estimate, 0.02973804404, tolerance = 1e-9)
  expect_equal(term_row(table, "(Intercept)")$statistic, 3704.494560, tolerance = 1e-8)
  coded <- quietly(lmm(finn_formula, finn_factors(), contrasts = sums))
  again <- effects_table(coded, coding = "fitted", test = "Chisq")
  numbers <- c("statistic", "df", "p.value", "estimate", "std.error", "conf.low", "conf.high")
  expect_equal(as.list(table)[numbers], as.list(again)[numbers], tolerance = 1e-8)

  for (f in list(fit, coded)) {
    expect_equal(term_row(effects_table(f), "continous_factor_A")$statistic, 13.573535725,
      tolerance = 1e-8
    )
    two <- effects_table(f, type = 2, test = "Chisq")
    expect_equal(two$statistic[c(1, 3)], c(2501.54308187, 13.59631478), tolerance = 1e-8)
  }
})

test_that("rows 7 and 8: F with Satterthwaite's and Kenward-Roger's degrees of freedom", {
  table <- effects_table(probe_fit, coding = "fitted")
  expect_equal(unlist(table[1, c("statistic", "df.residual")], use.names = FALSE),
    c(28.144405, 583.9888),
    tolerance = 1e-6
  )
  expect_equal(unlist(term_row(table, "B")[c("statistic", "df.residual")], use.names = FALSE),
    c(55.148753, 584.0960),
    tolerance = 1e-6
  )
  table <- effects_table(probe_fit, coding = "fitted", ddf = "kenward-roger")
  last <- term_row(table, "(Intercept)")
  expect_equal(last$statistic, 36.00733, tolerance = 1e-5)
  expect_equal(last$df.residual, 15.34687, tolerance = 1e-5)
  expect_equal(last$p.value, 2.20627e-5, tolerance = 1e-4)
  expect_equal(unlist(term_row(table, "B")[c("statistic", "df.residual")], use.names = FALSE),
    c(55.13064, 584.08367),
    tolerance = 1e-5
  )
})

test_that("row 9: a term of several columns has the mean effect with its own standard error", {
  b <- effects_table(probe_fit)
  b <- b[b$term == "B", ]
  expect_equal(b$contrast, c(NA, "1 - 0", "2 - 0"))
  expect_equal(b$estimate, c(0.71869295336, 0.3893684122351, 1.04801749448412), tolerance = 1e-8)
  expect_equal(b$std.error, c(0.0880698, 0.101230096864, 0.101173890119), tolerance = 1e-6)
  expect_equal(b$df, c(2L, 1L, 1L))
  none <- effects_table(probe_fit, levels = FALSE)
  expect_equal(none$term, c("A", "B", "x", "A:x", "(Intercept)"))
})

test_that("row 10: names of levels never lose information", {
  for (labels in list(c("-2", "-1", "0"), c("0.5", "1.5", "2.5"), c("a b", "c-d", "e 2"))) {
    d <- p
    levels(d$B) <- labels
    fit <- lmm(y ~ A + B + x + A:x + (1 | g), d)
    expect_equal(
      as.list(effects_table(fit))[-2], as.list(effects_table(probe_fit))[-2],
      tolerance = 1e-10
    )
  }
  expect_equal(effects_table(fit)$contrast[3], "(c-d) - (a b)")
})

test_that("row 11: all pairs with adjusted p-values", {
  b <- effects_table(probe_fit, levels = "pairwise")
  b <- b[b$term == "B" & !is.na(b$contrast), ]
  expect_equal(b$contrast, c("1 - 0", "2 - 0", "2 - 1"))
  expect_equal(b$p.adjusted, c(1.33062972e-4, 1.013510854e-22, 1.784210553e-10), tolerance = 1e-4)
  expect_equal(b$std.error[3], 0.0997106722332, tolerance = 1e-8)
  # in any coding
  other <- effects_table(probe_fit, contrasts = list(B = contr.helmert), levels = "pairwise")
  other <- other[other$term == "B" & !is.na(other$contrast), ]
  expect_equal(other, b, tolerance = 1e-6, ignore_attr = TRUE)
})

test_that("row 23: p-values adjusted over the terms", {
  fit <- finn()
  table <- effects_table(fit, coding = "fitted", test = "Chisq", p.adjust = "holm")
  expect_equal(table$p.adjusted, c(0, 0.339098649613, 0.003340128972, 0.358269088474, NA),
    tolerance = 1e-7
  )
  table <- effects_table(fit, coding = "fitted", test = "Chisq", p.adjust = "BH")
  expect_equal(table$p.adjusted, c(0, 0.226065766409, 0.002226752647, 0.358269088474, NA),
    tolerance = 1e-7
  )
})

test_that("an effect and its test belong together, in every type and coding", {
  fit <- lmm(y ~ A * B * x + (1 | g), p)
  for (arguments in list(
    list(type = 1), list(type = 2), list(), list(coding = "fitted"),
    list(contrasts = list(A = contr.sum, B = contr.helmert)), list(type = 2, ddf = "none")
  )) {
    table <- do.call(effects_table, c(list(fit), arguments))
    one <- table[table$df == 1L, ]
    expect_equal((one$estimate / one$std.error)^2, one$statistic, tolerance = 1e-8)
  }
})

test_that("the tests are those of anova(), whatever the contrasts of the fit", {
  for (contrasts in list(NULL, list(A = "contr.sum", B = "contr.helmert"))) {
    fit <- lmm(y ~ A * B * x + (1 | g), p, contrasts = contrasts)
    for (type in 1:3) {
      table <- effects_table(fit, type, levels = FALSE)
      table <- table[table$term != "(Intercept)", ]
      reference <- anova(fit, type = type)
      expect_equal(table$statistic, reference[["F value"]], tolerance = 1e-8)
      expect_equal(table$df.residual, reference[["DenDF"]], tolerance = 1e-6)
    }
  }
})

test_that("effects of type II are coefficients of the model without what contains the term", {
  fit <- lmm(y ~ A * x + B + (1 | g), p)
  table <- effects_table(fit, type = 2, ddf = "none")
  # generalised least squares with the same variances
  V <- diag(sigma(fit)^2, 600) + VarCorr(fit)$g[1] * outer(p$g, p$g, "==")
  X <- model.matrix(~ A + x + B, p)
  beta <- solve(t(X) %*% solve(V, X), t(X) %*% solve(V, p$y))
  expect_equal(term_row(table, "x")$estimate, beta[["x", 1]], tolerance = 1e-8)
  expect_equal(term_row(table, "A")$estimate, beta[["A1", 1]], tolerance = 1e-8)
  # and of type I without all that follow
  X <- model.matrix(~ A + x, p)
  beta <- solve(t(X) %*% solve(V, X), t(X) %*% solve(V, p$y))
  table <- effects_table(lmm(y ~ A + x + B + A:x + (1 | g), p), type = 1)
  expect_equal(term_row(table, "x")$estimate, beta[["x", 1]], tolerance = 1e-8)
})

test_that("averaged effects are those of the marginal means", {
  skip_if_not_installed("emmeans")
  skip_if_not_installed("lme4")
  reference <- lme4::lmer(y ~ A * B * x + (1 | g), p)
  table <- effects_table(lmm(y ~ A * B * x + (1 | g), p), levels = "pairwise", ddf = "none")
  pairs <- suppressMessages(
    emmeans::contrast(emmeans::emmeans(reference, "B", at = list(x = 0), lmer.df = "asymptotic"),
      "revpairwise")
  )
  pairs <- summary(pairs, adjust = "none")
  own <- table[table$term == "B" & !is.na(table$contrast), ]
  expect_equal(own$estimate, pairs$estimate, tolerance = 1e-6)
  expect_equal(own$std.error, pairs$SE, tolerance = 1e-6)
  slope <- suppressMessages(
    summary(emmeans::emtrends(reference, ~1, "x", lmer.df = "asymptotic"))
  )
  expect_equal(term_row(table, "x")$estimate, slope$x.trend, tolerance = 1e-6)
  expect_equal(term_row(table, "x")$std.error, slope$SE, tolerance = 1e-6)
})

test_that("few rows of each cell give the same coding as all", {
  d <- p[rep(seq_len(600), 5), ]
  d$y <- d$y + rep(c(0, 0.1, -0.1, 0.2, -0.2), each = 600)
  d$C <- d$x > 0
  fit <- lmm(y ~ A * B * x + C + (1 | g), d)
  expect_false(is.null(telling_rows(fit, fit$frame, recoding_of(fit, NULL)$matrices)))
  sums <- list(A = "contr.sum", B = "contr.sum", C = "contr.sum")
  X <- model.matrix(~ A * B * x + C, d, contrasts.arg = sums)
  expect_equal(unname(recoding_of(fit, sums)$map), unname(qr.solve(X, fit$X)), tolerance = 1e-9)
})

test_that("sum-to-zero contrasts show every level", {
  table <- effects_table(probe_fit, contrasts = list(B = contr.sum))
  b <- table[table$term == "B" & !is.na(table$contrast), ]
  expect_equal(b$contrast, c("0 - mean", "1 - mean", "2 - mean"))
  expect_equal(sum(b$estimate), 0, tolerance = 1e-10)
  means <- c(0, coef(probe_fit)[c("B1", "B2")])
  expect_equal(b$estimate, unname(means - mean(means)), tolerance = 1e-8)
})

test_that("columns dropped: whole terms, single columns, empty cells", {
  d <- transform(p, z = 2 * x)
  table <- effects_table(quietly(lmm(y ~ A + x + z + (1 | g), d)))
  expect_equal(table$term, c("A", "x", "z", "(Intercept)"))
  expect_true(all(is.na(table[3, -1])))
  base <- effects_table(lmm(y ~ A + x + (1 | g), d))
  expect_equal(as.list(table[-3, -1]), as.list(base[-1]), tolerance = 1e-8)

  # poly(x, 2)1 is x: nothing of the factors is lost
  fit <- quietly(lmm(y ~ A * B + x + poly(x, 2) + (1 | g), p))
  expect_no_message(table <- effects_table(fit))
  whole <- effects_table(lmm(y ~ A * B + poly(x, 2) + (1 | g), p))
  expect_equal(table$statistic[1], whole$statistic[1], tolerance = 1e-7)

  empty <- quietly(lmm(y ~ A * B + (1 | g), p[!(p$A == "1" & p$B == "2"), ]))
  expect_message(table <- effects_table(empty), class = "partialpool_message_rank")
  expect_equal(attr(table, "coding"), "fitted")
  expect_equal(table$df[table$term == "A:B"], 1L)
})

test_that("unusual models have tables", {
  expect_equal(nrow(effects_table(lmm(y ~ 0 + (1 | g), p))), 0L)
  expect_equal(effects_table(lmm(y ~ 1 + (1 | g), p))$term, "(Intercept)")
  means <- effects_table(lmm(y ~ 0 + B + (1 | g), p))
  expect_equal(means$contrast, c(NA, "0", "1", "2"))
  expect_equal(means$df, c(3L, 1L, 1L, 1L))
  no_groups <- effects_table(quietly(lmm(y ~ A + B + x, p)))
  reference <- stats::drop1(stats::lm(y ~ A + B + x, p), test = "F")
  expect_equal(term_row(no_groups, "B")$statistic, reference["B", "F value"], tolerance = 1e-8)
  expect_equal(no_groups$df.residual, rep(595, 6))
  odd <- transform(p, L = x > 0)
  names(odd)[names(odd) == "B"] <- "the levels"
  fit <- lmm(y ~ `the levels` * x + L + (1 | g), odd)
  expect_equal(
    term_row(effects_table(fit), "x")$statistic, anova(fit)["x", "F value"], tolerance = 1e-8
  )
})

test_that("generalised and kernel models", {
  fit <- glmm(yp ~ A + B + x + A:x + (1 | g), p, poisson(), nAGQ = 25)
  table <- effects_table(fit, coding = "fitted")
  expect_equal(attr(table, "test"), "Chisq")
  expect_true(all(is.na(table$df.residual)))
  expect_equal(term_row(table, "A")$estimate, 0.439203408675, tolerance = 1e-6)
  expect_equal(term_row(table, "A")$std.error, 0.062843621993, tolerance = 1e-5)
  separated <- suppressWarnings(glmm(I(as.integer(A) - 1) ~ A + x + (1 | g), p, binomial()))
  expect_true(is.na(term_row(effects_table(separated), "A")$p.value))

  K <- exp(-as.matrix(dist(1:40)) / 5)
  set.seed(2)
  X <- cbind(one = 1, b = rnorm(40))
  fit <- quietly(kernel_lmm(rnorm(40) + X[, 2], X, K))
  table <- effects_table(fit)
  expect_equal(table$term, c("one", "b"))
  expect_equal(table$estimate, unname(coef(fit)))
  expect_equal(table$std.error, unname(sqrt(diag(vcov(fit)))))
  expect_error(effects_table(fit, contrasts = list(b = "contr.sum")),
    class = "partialpool_error_argument"
  )
})

test_that("effect sizes follow from F and its degrees of freedom", {
  table <- effects_table(probe_fit, effect.size = "omega2")
  b <- term_row(table, "B")
  expect_equal(b$partial.omega2,
    (b$statistic - 1) * 2 / (b$statistic * 2 + b$df.residual + 1),
    tolerance = 1e-12
  )
  # eta squared of a linear model is SS / (SS + RSS)
  fit <- quietly(lmm(y ~ B + x, p))
  eta <- term_row(effects_table(fit, effect.size = "eta2"), "B")$partial.eta2
  ss <- stats::drop1(stats::lm(y ~ B + x, p))
  expect_equal(eta, ss["B", "Sum of Sq"] / ss["B", "RSS"], tolerance = 1e-10)
  expect_error(effects_table(probe_fit, effect.size = "eta2", test = "Chisq"),
    class = "partialpool_error_argument"
  )
})

test_that("bad arguments are errors", {
  for (call in expression(
    effects_table(probe_fit, type = 4), effects_table(probe_fit, ddf = "x"),
    effects_table(probe_fit, contrasts = list(zz = "contr.sum")),
    effects_table(probe_fit, contrasts = list(A = "contr.nothing")),
    effects_table(probe_fit, contrasts = list(B = matrix(1:2, 3, 2))),
    effects_table(probe_fit, contrasts = "contr.sum"), effects_table(probe_fit, level = 2),
    effects_table(probe_fit, p.adjust = "x"), effects_table(probe_fit, levels = NA),
    effects_table(probe_fit, test = "Chisq", ddf = "residual"), effects_table(probe_fit, kind = 3),
    effects_table(probe_fit, coding = "helmert"), effects_table(1)
  )) {
    expect_error(eval(call), class = "partialpool_error_argument", info = deparse(call))
  }
  # names of variables that have no coding here do nothing
  expect_equal(
    effects_table(probe_fit, contrasts = list(x = "contr.sum", g = contr.sum)),
    effects_table(probe_fit),
    ignore_attr = TRUE
  )
})

test_that("the table prints", {
  expect_snapshot(print(effects_table(probe_fit, standardise = "total", p.adjust = "holm")))
  expect_snapshot(
    print(effects_table(probe_fit, contrasts = list(B = contr.sum), test = "Chisq"))
  )
  expect_snapshot(print(effects_table(probe_fit, type = 2, levels = "pairwise")))
})

test_that("a choice of columns or rows can be printed", {
  table <- effects_table(lmm(Reaction ~ Days + (Days | Subject), sleepstudy))
  expect_output(print(table[c("term", "p.value")]), "Days")
  expect_output(print(subset(table, p.value < 0.05)), "Days")
})
