skip_if_not_installed("knitr")

# The text of a chunk as knitr writes it, with the output format of rmarkdown when one is given.
knitted <- function(x, to = NULL, out = "markdown") {
  old <- knitr::opts_knit$get(c("rmarkdown.pandoc.to", "out.format"))
  on.exit(knitr::opts_knit$set(old))
  knitr::opts_knit$set(rmarkdown.pandoc.to = to, out.format = out)
  as.character(knitr::knit_print(x))
}

sleep <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)

test_that("methods are registered when knitr is loaded", {
  for (class in lazy_methods[["knitr::knit_print"]]) {
    method <- utils::getS3method("knit_print", class, envir = asNamespace("knitr"))
    expect_identical(topenv(environment(method)), topenv(environment(lmm)))
  }
})

test_that("a fit and its summary become tables", {
  shown <- knitted(summary(sleep))
  expect_match(shown, "**Linear mixed model, fitted by REML.**", fixed = TRUE)
  expect_match(shown, "`Reaction ~ Days + (Days | Subject)`", fixed = TRUE)
  expect_match(shown, "\\(Intercept\\) *\\| +251.41\\| +6.825\\| +17\\| +36.84\\| +<0.001\\|")
  expect_match(shown, "180 observations; levels: Subject 18. REML criterion 1743.6.", fixed = TRUE)
  expect_match(shown, "*Converged: ", fixed = TRUE)
  brief <- knitted(sleep)
  expect_match(brief, "\\(Intercept\\) *\\| +251.41\\| +6.825\\|\n")
  expect_no_match(brief, "0.001")
})

test_that("HTML, LaTeX and Markdown each get their own tables", {
  html <- knitted(summary(sleep), "html")
  expect_match(html, "<table class=\"table table-condensed\"", fixed = TRUE)
  expect_match(html, "&#60;0.001", fixed = TRUE)
  latex <- knitted(summary(sleep), out = "latex")
  expect_match(latex, "\\begin{tabular}", fixed = TRUE)
  expect_match(latex, "$<$0.001", fixed = TRUE)
  expect_match(latex, "\\textbf{Linear mixed model", fixed = TRUE)
  pdf <- knitted(summary(sleep), "latex")
  expect_match(pdf, "Table: Fixed effects", fixed = TRUE)
  page <- knitted(summary(sleep), out = "html")
  expect_match(page, "<p><strong>Linear mixed model", fixed = TRUE)
})

test_that("names cannot break a table", {
  d <- sleepstudy
  names(d)[2] <- "a*b_c|<i>$"
  fit <- lmm(Reaction ~ `a*b_c|<i>$` + (1 | Subject), d)
  expect_match(knitted(fit), "a\\\\\\*b\\\\_c&#124;\\\\<i\\\\>\\\\\\$")
  expect_match(knitted(fit, "html"), "a&#42;b&#95;c|&#60;i&#62;&#36;", fixed = TRUE)
  expect_match(knitted(fit, out = "latex"), "a*b\\_c$|$$<$i$>$\\$", fixed = TRUE)
  expect_match(knitted(fit), "`` Reaction ~ `a*b_c|<i>$` + (1 | Subject) ``", fixed = TRUE)
})

test_that("notes on singularity and dropped columns are shown", {
  fit <- suppressMessages(lmm(Yield ~ 1 + (1 | Batch), Dyestuff2))
  expect_match(knitted(fit), "*Singular fit: in Batch, the variance of (Intercept) is zero*",
    fixed = TRUE)
  twice <- suppressMessages(
    lmm(Reaction ~ Days + I(2 * Days) + (1 | Subject), transform(sleepstudy, Days = Days))
  )
  expect_match(knitted(summary(twice)), "Dropped .*: I\\(2 \\\\\\* Days\\)")
  short <- lmm(Reaction ~ Days + (1 | Subject), transform(sleepstudy, Days = replace(Days, 1, NA)))
  expect_match(knitted(short), "179 observations; levels: Subject 18; left out: 1 with missing")
})

test_that("generalised and kernel models, random effects and checks have tables", {
  herds <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  shown <- knitted(summary(herds))
  expect_match(shown, "binomial family, logit link", fixed = TRUE)
  expect_match(shown, "Fixed effects (z tests)", fixed = TRUE)
  expect_match(shown, "AIC 194.1, BIC 204.2, log-likelihood -92.0. Overdispersion 1.24",
    fixed = TRUE)
  ticks <- glmm(TICKS ~ YEAR + (1 | BROOD), grouseticks, nbinom2(), dispformula = ~YEAR)
  expect_match(knitted(summary(ticks)), "Dispersion model (log)", fixed = TRUE)
  expect_match(knitted(VarCorr(sleep)), "Days +\\| +35.07\\| +5.922\\| +0.07\\|")
  K <- exp(-as.matrix(dist(1:30)) / 3)
  spatial <- suppressMessages(kernel_lmm(cos(1:30) + (1:30 %% 7), NULL, K))
  expect_match(knitted(summary(spatial)), "Variances and parameters", fixed = TRUE)
  expect_match(knitted(spatial), "30 observations", fixed = TRUE)
  expect_match(knitted(check_fit(sleep)), "\u2713", fixed = TRUE)
})

test_that("tables of tests are tables", {
  tests <- anova(sleep)
  class(tests) <- unique(c("pp_anova", class(tests)))
  shown <- knitted(tests)
  expect_match(shown, "Table: Type III analysis of variance", fixed = TRUE)
  expect_match(shown, "Days *\\| +1\\| +17\\| +45.85\\| +<0.001\\|")
  smaller <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  both <- suppressMessages(anova(smaller, sleep))
  class(both) <- unique(c("pp_anova", class(both)))
  expect_match(knitted(both), "Table: Comparison of models", fixed = TRUE)
  expect_match(knitted(both), "*smaller: Reaction \\~ Days + (1 \\| Subject)*", fixed = TRUE)
})

test_that("profiles, bootstraps and effects have tables", {
  few <- bootstrap(sleep, nsim = 4, seed = 1)
  expect_match(knitted(few), "Table: Parametric bootstrap, 4 replicates (seed 1)", fixed = TRUE)
  expect_match(knitted(few), "Of 4 replicates: 0 failed", fixed = TRUE)
  expect_match(knitted(profile(sleep, parm = "Days")), "Days *\\| +10.47\\| +7.36\\| +13.58\\|")
  herds <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  shown <- knitted(effects_table(herds), "html")
  expect_match(shown, "<td style=\"text-align:left;\"> &emsp;2 - 1 </td>", fixed = TRUE)
  expect_match(shown, "95% low", fixed = TRUE)
  expect_match(knitted(r_squared(sleep)), "conditional *\\| *0.799\\|fixed and random effects")
})

test_that("numbers are written as tables have them", {
  expect_identical(p_cells(c(0.0004, 0.049, NA, 1)), c("<0.001", "0.049", "", "1.000"))
  expect_identical(number_cells(c(251.4051, NA, 10.46729)), c("251.41", "", "10.47"))
  expect_identical(number_cells(c(73.6667, -0.04167, 0)), c("73.667", "-0.042", "0.000"))
  expect_identical(number_cells(c(1.2e9, 3e-9)), c("1.2e+09", "3e-09"))
  expect_identical(number_cells(c(NA, 0)), c("", "0"))
  expect_identical(df_cells(c(17, 17.0001)), c("17", "17"))
  expect_identical(df_cells(c(17, Inf, 3.25)), c("17.0", "Inf", "3.2"))
})

test_that("the chunk option asks for plain text", {
  skip_if_not_installed("rmarkdown")
  chunk <- c("```{r, render = knitr::normal_print}", "sleep", "```", "```{r}", "sleep", "```")
  old <- knitr::opts_knit$get(c("progress", "out.format"))
  on.exit(knitr::opts_knit$set(old))
  text <- knitr::knit(text = chunk, quiet = TRUE, envir = environment())
  parts <- strsplit(text, "\n")[[1]]
  expect_true(any(grepl("^## Linear mixed model, fitted by REML", parts)))
  expect_true(any(grepl("^\\*\\*Linear mixed model, fitted by REML", parts)))
})
